/**
 * The client port of an HSM without its socket: requests go through the dispatcher, the operations' shapes and the
 * handlers as they do in a process of its own, over a store in memory. For what is about keys and needs many of them, or
 * peers that do as they are told.
 */
import { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { pino } from 'pino'
import type { HsmType } from '../../../../provider-schema/limits.ts'
import type { AuditLog } from '../../audit/audit-log.ts'
import { clientAudit } from '../../audit/audited.ts'
import { settled } from '../../later.ts'
import { Mtls } from '../../mtls/mtls.ts'
import type { KeySeparation } from '../../../../provider-schema/key-separation.ts'
import type { Role } from '../../protocol/values.ts'
import { clientOperations, type ClientOperations } from '../../protocol/client-operations.ts'
import type { ParamsOf, ResultOf } from '../../protocol/envelope.ts'
import { HsmError } from '../../protocol/errors.ts'
import { systemQuorumClock } from '../../quorum/clock.ts'
import { Quorum } from '../../quorum/quorum.ts'
import { QuorumValues } from '../../quorum/values.ts'
import { MemoryStore } from '../../replication/testing/memory-store.ts'
import { dispatcher } from '../../server/dispatch.ts'
import { Keys } from '../../vault/keys.ts'
import { hashPassword } from '../../vault/passwords.ts'
import { ToldPeers } from '../../vault/testing/told-peers.ts'
import { encodeUser, userPath } from '../../vault/user-record.ts'
import { Users } from '../../vault/users.ts'
import type { ClientHsm } from '../client-hsm.ts'
import { SeenClients } from '../seen-clients.ts'
import { screen } from '../screen.ts'
import { clientHandlers } from '../serve.ts'
import { endLogin, newSession, type ClientConnection } from '../session.ts'

type Operation = keyof ClientOperations

export interface InProcessSession {
  call<Op extends Operation>(op: Op, params: ParamsOf<ClientOperations, Op>): Promise<ResultOf<ClientOperations, Op>>
  /** Ends the connection. */
  end(): void
}

export interface InProcessHsm {
  readonly store: MemoryStore
  readonly peers: ToldPeers
  readonly keys: Keys
  /** Somebody who logged in just now: the crypto users alice and bob and the admin `admin` are there. */
  as(username: 'alice' | 'bob' | 'admin'): InProcessSession
}

export interface InProcessOptions {
  readonly size?: number
  readonly store?: MemoryStore
  readonly hsmType?: HsmType
  readonly mode?: 'FIPS' | 'NON_FIPS'
  readonly keySeparation?: KeySeparation
  /** Where operations are recorded; nowhere when left out. */
  readonly audit?: AuditLog
}

const ROLES: Readonly<Record<string, Role>> = { admin: 'admin', alice: 'crypto-user', bob: 'crypto-user' }

export async function startInProcess({
  size = 1,
  store = new MemoryStore('hsm-0'),
  hsmType = 'hsm2m.medium',
  mode = 'FIPS',
  keySeparation = 'trusted',
  audit,
}: InProcessOptions = {}): Promise<InProcessHsm> {
  const peers = new ToldPeers(size)
  await writeUsers(store)
  const log = pino({ enabled: false })
  const keys: Keys = new Keys({
    store,
    replication: peers,
    hsmType: () => hsmType,
    userExists: (name) => users.has(name),
    isCryptoUser: (name) => users.has(name) && ROLES[name] !== 'admin',
    keySeparation,
  })
  const vaulted = { store, replication: peers, hsmType: () => hsmType }
  const users: Users = new Users({
    ...vaulted,
    ownsKeys: (name) => keys.ownsKeys(name),
    onDeleted: (name) => keys.endSessionSharing(name),
    endSharing: (name) => keys.endSharing(name),
    adminsNeeded: () => values.adminsNeeded,
  })
  const values = new QuorumValues({ ...vaulted, admins: () => users.admins })
  const quorum = new Quorum({
    hsmId: 'hsm-0',
    users,
    keyOf: (caller, handle) => keys.usable(caller, handle, false),
    values,
    replication: peers,
    clock: systemQuorumClock,
  })
  const ports = { client: 2223, peer: 2224, management: 2225 }
  const hsm: ClientHsm = {
    config: { hsmId: 'hsm-0', address: '127.0.0.1', ports },
    version: 'test',
    log,
    users,
    keys,
    quorum,
    mtls: new Mtls(vaulted),
    replication: peers,
    seenClients: new SeenClients(store.local, log),
    cluster: () => ({ clusterId: 'cluster-testtesttes', hsmType, mode }),
    phase: () => 'active',
    load: () => 1,
  }
  const plain = clientHandlers(hsm, (_connection, work) => work())
  const handlers = audit ? clientAudit(hsm, audit).recorded(plain) : plain
  const screened = (op: Operation, params: unknown, connection: ClientConnection) => {
    screen(hsm, op, params, connection)
  }
  const dispatch = dispatcher(
    { name: 'client', operations: clientOperations, log, handlers, screen: screened },
    () => false,
  )
  return {
    store,
    peers,
    keys,
    as(username) {
      const connection = connectionOf(username)
      return {
        async call(op, params) {
          const reply = settled(await dispatch({ id: 1, op, params }, connection))
          if ('error' in reply) throw new HsmError(reply.error.code, reply.error.message)
          return parsed(op, reply.ok)
        },
        end: () => endLogin(connection, keys),
      }
    },
  }
}

/** Straight into the store, all with one password: a hash takes 50 ms, and nobody logs in here. */
async function writeUsers(store: MemoryStore): Promise<void> {
  hash ??= hashPassword('not-used-1')
  const password = await hash
  const users = Object.entries(ROLES).map(([username, role]) => ({ username, role, password }))
  const missing = users.filter(({ username }) => store.get(userPath(username)) === undefined)
  await store.write(missing.map((user) => ({ path: userPath(user.username), value: encodeUser(user) })))
}
let hash: ReturnType<typeof hashPassword> | undefined

/** As the client's side of a connection parses what comes. */
function parsed<Op extends Operation>(op: Op, answer: unknown): ResultOf<ClientOperations, Op> {
  return clientOperations[op].result.parse(answer) as ResultOf<ClientOperations, Op>
}

function connectionOf(username: string): ClientConnection {
  const nothing = () => undefined
  const caller = { username, role: ROLES[username] ?? 'crypto-user' } as const
  return {
    context: { ...newSession(), greeted: true, caller },
    socket: new TLSSocket(new Duplex({ read: nothing, write: nothing })),
    remoteAddress: '127.0.0.1',
    send: nothing,
    trust: nothing,
    distrust: nothing,
    destroy: nothing,
  }
}
