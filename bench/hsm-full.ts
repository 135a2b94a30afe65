/**
 * A full HSM, 16,666 keys, against one with 100, in turn: what a request takes, find, login. And against one without any: how
 * long it takes to back up, to restore, to be joined by a second and a third.
 */
import { CAPACITY } from '../workers/hsm/policy/hsm-types.ts'
import type { ClientOperations } from '../workers/hsm/protocol/client-operations.ts'
import type { Connection } from '../workers/hsm/protocol/connection.ts'
import { BACKUP_CHUNK_BYTES } from '../workers/hsm/protocol/management-operations.ts'
import {
  managing,
  startCluster,
  startHsmProcess,
  type HsmProcess,
  type TestCluster,
} from '../workers/hsm/testing/process.ts'
import { join } from './support/grow.ts'
import { asHsm, benchUser, latenciesOf, leaveHsmCore, PASSWORD, rateOf, whereItRuns } from './support/hsm-load.ts'
import { median, medianBy, report, type Row } from './support/report.ts'

const FEW = 100
const FULL = CAPACITY['hsm2m.medium'].keys
const SECONDS = 1
const ROUNDS = 11
const AT_ONCE = 64
const FILL_TIMEOUT_MS = 120_000
const BACKUP = 'backup-aaaaaaaaaaa'

leaveHsmCore()
const cluster = await startCluster({ prefix: asHsm })
const started = [cluster.first]
try {
  const client = await benchUser(cluster)
  const rows: Row[] = []
  const empty = await startCluster({ prefix: asHsm })
  started.push(empty.first)
  await (await benchUser(empty)).close()
  const withoutKeys = await moved(empty)
  // What runs beside it would slow the other figures down.
  await Promise.all(started.splice(1).map((hsm) => hsm.dispose()))

  const small = await startCluster({ prefix: asHsm })
  started.push(small.first)
  const smallClient = await benchUser(small)
  await fill(smallClient, FEW)
  await fill(client, FEW)
  const fillingMs = await timed(() => fill(client, FULL))
  const rounds: { few: Figures; full: Figures }[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push({ few: await figures(small, smallClient), full: await figures(cluster, client) })
  }
  await smallClient.close()
  await Promise.all(started.splice(1).map((hsm) => hsm.dispose()))
  rows.push({ what: `AES keys made, ${FEW} to ${FULL}`, ours: (FULL - FEW) / (fillingMs / 1000), unit: '/s' })
  const bar = 'within 10%'
  const compare = (what: string, of: (each: Figures) => number, unit: string, wanted?: string) => {
    const { few, full } = medianBy(rounds, (round) => of(round.full) / of(round.few))
    const peer = { name: `with ${FEW} keys`, value: of(few) }
    rows.push({ what, ours: of(full), unit, peer, ...(wanted && { bar: wanted }) })
  }
  compare('AES-GCM encrypt, 64 bytes, one at a time', (each) => each.encryptOne, 'ms', bar)
  compare('the same, as many as it can', (each) => each.encrypt, '/s')
  compare('find one key by its label', (each) => each.findOne, 'ms', bar)
  compare('login and logout', (each) => each.login, 'ms', bar)
  compare('find, first page of 1,000 of all', (each) => each.findPage, 'ms')

  const whole = await moved(cluster)
  const move = (what: string, of: (each: Moved) => number) =>
    rows.push({ what, ours: of(whole), unit: 'ms', peer: { name: 'without keys', value: of(withoutKeys) } })
  move(`back up ${FULL} keys (${Math.round(whole.bytes / 1024 / 1024)} MiB)`, (each) => each.backup)
  move(`restore ${FULL} keys into a blank HSM`, (each) => each.restore)
  move(`a second HSM joins ${FULL} keys`, (each) => each.secondJoin)
  move(`a third HSM joins ${FULL} keys`, (each) => each.thirdJoin)
  await client.close()
  console.log(whereItRuns)
  report(`A full HSM: ${FULL} keys`, rows)
} finally {
  await Promise.all(started.map((hsm) => hsm.dispose()))
}

interface Figures {
  readonly encryptOne: number
  readonly encrypt: number
  readonly findOne: number
  readonly findPage: number
  readonly login: number
}

/** Milliseconds that a whole content takes on its way elsewhere. */
interface Moved {
  readonly bytes: number
  readonly backup: number
  readonly restore: number
  readonly secondJoin: number
  readonly thirdJoin: number
}

async function moved(from: TestCluster): Promise<Moved> {
  const { backupMs, bytes, announced } = await backUp(from.first)
  const restoreMs = await restore(from, bytes, announced)
  const members = [from.first]
  const joins: number[] = []
  for (let ordinal = 2; ordinal <= 3; ordinal += 1) {
    const next = await startHsmProcess({ pki: from.pki })
    started.push(next)
    joins.push(await join(from, members, next))
    members.push(next)
  }
  const [secondJoin = Number.NaN, thirdJoin = Number.NaN] = joins
  return { bytes: bytes.length, backup: backupMs, restore: restoreMs, secondJoin, thirdJoin }
}

/** Makes AES keys until there are so many; each has a label of its own. */
async function fill(client: Connection<ClientOperations>, until: number): Promise<void> {
  const { total } = await client.call('key-find', { filter: {}, limit: 1 })
  let next = total
  const one = async (): Promise<void> => {
    while (next < until) {
      const attributes = { label: `key-${next}`, encrypt: true }
      next += 1
      await client.call('key-generate-aes', { lengthBytes: 32, attributes, requireTwoCopies: false })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
}

async function figures(cluster: TestCluster, client: Connection<ClientOperations>): Promise<Figures> {
  const label = { filter: { attributes: { label: 'key-50' } } }
  const { keys } = await client.call('key-find', label)
  const params = {
    handle: keys[0]?.handle ?? '',
    mechanism: { name: 'aes-gcm', tagBits: 128 } as const,
    data: Buffer.alloc(64),
    requireTwoCopies: false,
  }
  const other = await cluster.first.client(cluster.customer.certificate)
  const logins = await latenciesOf(11, async () => {
    await other.call('login', { username: 'bench', role: 'crypto-user', password: PASSWORD })
    await other.call('logout', {})
  })
  await other.close()
  return {
    encryptOne: median(await latenciesOf(1000, () => client.call('encrypt', params))),
    encrypt: (await rateOf(cluster, 'encrypt', params, SECONDS)).perSecond,
    findOne: median(await latenciesOf(200, () => client.call('key-find', label))),
    findPage: median(await latenciesOf(20, () => client.call('key-find', { filter: {}, limit: 1000 }))),
    login: median(logins),
  }
}

function backUp(hsm: HsmProcess) {
  return managing(hsm, async (management) => {
    const began = performance.now()
    const announced = await management.call('backup-begin', { backupId: BACKUP }, { timeoutMs: FILL_TIMEOUT_MS })
    const pieces: Uint8Array[] = []
    for (let offset = 0; offset < announced.size; offset += BACKUP_CHUNK_BYTES) {
      pieces.push(
        (await management.call('backup-read', { backupId: BACKUP, offset, length: BACKUP_CHUNK_BYTES })).bytes,
      )
    }
    const backupMs = performance.now() - began
    await management.call('backup-end', { backupId: BACKUP })
    return { backupMs, bytes: Buffer.concat(pieces), announced }
  })
}

async function restore(from: TestCluster, bytes: Buffer, announced: { size: number; digest: string }): Promise<number> {
  const hsm = await startHsmProcess({ pki: from.pki })
  started.push(hsm)
  const clusterId = 'cluster-restoredone'
  const membership = from.pki.signMembership({ clusterId, epoch: 1, members: [hsm.member] })
  return managing(hsm, (management) =>
    timed(async () => {
      await management.call('restore-begin', { backupId: BACKUP, ...announced })
      for (let offset = 0; offset < bytes.length;) {
        const piece = bytes.subarray(offset, offset + BACKUP_CHUNK_BYTES)
        ;({ offset } = await management.call('restore-write', { backupId: BACKUP, offset, bytes: piece }))
      }
      const committed = { backupId: BACKUP, clusterId, mode: 'FIPS', hsmType: 'hsm2m.medium', membership } as const
      await management.call('restore-commit', committed, { timeoutMs: FILL_TIMEOUT_MS })
    }),
  )
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}
