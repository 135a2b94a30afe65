/**
 * Which operations of the client port the audit log holds, and as what: management of users, keys and logins, not the
 * use of keys, as at AWS (data-plane reference §6.5). Every operation has its row here.
 */
import type { z } from 'zod'
import type { KeyInfo } from '../protocol/attributes.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { ParsedParamsOf } from '../protocol/envelope.ts'
import type { Role } from '../protocol/values.ts'
import type { Details } from './event.ts'
import type { Opcode } from './opcodes.ts'

export type AuditedOperation = keyof ClientOperations
export type ResultOf<Op extends AuditedOperation> = z.input<ClientOperations[Op]['result']>

/** What an event says of one operation. */
export interface EventRow<Params, Result> {
  readonly opcode: Opcode | ((params: Params, key: KeyInfo | undefined) => Opcode)
  /** The key that the operation is about, looked up before it: afterwards it may be gone. */
  readonly about?: (params: Params) => string
  /** `result` is undefined when the operation was refused, `key` when it is not about one that is there. */
  readonly details?: (params: Params, result: Result | undefined, key: KeyInfo | undefined) => Details | undefined
  /** Names who is logged in. With nobody logged in nothing happens, and nothing is recorded. */
  readonly ofCaller?: true
  /** Also recorded when nobody is logged in and it is refused. Only what is throttled may be: it fills the disk. */
  readonly refusedToAnyone?: true
}

type Row<Op extends AuditedOperation> = EventRow<ParsedParamsOf<ClientOperations, Op>, ResultOf<Op>> | 'not recorded'

const user = ({ username, role }: { readonly username: string; readonly role: Role }): Details => ({
  kind: 'user',
  username,
  role,
})

/** The handle of a key on the line that its class belongs to. */
export function keyDetails(key: Pick<KeyInfo, 'handle' | 'attributes'> | undefined): Details | undefined {
  if (!key) return undefined
  const isPublic = key.attributes.class === 'public-key'
  return { kind: 'keys', ...(isPublic ? { public: key.handle } : { secret: key.handle }) }
}

interface Pair {
  readonly publicKey: { readonly handle: string }
  readonly privateKey: { readonly handle: string }
}

const keyPair = {
  opcode: 'CN_GENERATE_KEY_PAIR',
  details: (_params: unknown, pair: Pair | undefined): Details | undefined =>
    pair && { kind: 'keys', secret: pair.privateKey.handle, public: pair.publicKey.handle },
} as const

/** One secret key was made, by whatever operation. */
const madeKey = (opcode: Opcode) =>
  ({
    opcode,
    details: (_params: unknown, result: { readonly key: Pick<KeyInfo, 'handle' | 'attributes'> } | undefined) =>
      keyDetails(result?.key),
  }) as const

/** Something is done with one key that is there. */
const ofKey = (opcode: Opcode) =>
  ({
    opcode,
    about: ({ handle }: { readonly handle: string }) => handle,
    details: ({ handle }: { readonly handle: string }, _result: unknown, key: KeyInfo | undefined): Details =>
      keyDetails(key) ?? { kind: 'keys', secret: handle },
  }) as const

export const CLIENT_EVENTS: { readonly [Op in AuditedOperation]: Row<Op> } = {
  hello: 'not recorded',
  activate: {
    opcode: 'CN_CHANGE_PSWD',
    details: () => ({ kind: 'user', username: 'admin', role: 'unactivated-admin' }),
  },
  login: { opcode: 'CN_LOGIN', details: user, refusedToAnyone: true },
  logout: { opcode: 'CN_LOGOUT', ofCaller: true },
  'hsm-info': 'not recorded',
  'user-list': 'not recorded',
  'user-create': { opcode: ({ role }) => (role === 'admin' ? 'CN_CREATE_CO' : 'CN_CREATE_USER'), details: user },
  'user-delete': { opcode: 'CN_DELETE_USER', details: user },
  'user-change-password': { opcode: 'CN_CHANGE_PSWD', details: user },
  'user-change-mfa': { opcode: 'SR_CHANGE_MFA', details: user },
  'user-register-quorum-key': { opcode: 'SR_REGISTER_QUORUM_KEY' },
  'mfa-token-generate': 'not recorded',
  'quorum-list-values': 'not recorded',
  'quorum-set-value': { opcode: 'CN_SET_M_VALUE' },
  'quorum-token-generate': { opcode: 'CN_GET_TOKEN' },
  'quorum-approve': { opcode: 'CN_APPROVE_TOKEN' },
  'quorum-token-list': 'not recorded',
  'quorum-token-delete': { opcode: 'CN_DELETE_TOKEN' },
  'quorum-token-drop': { opcode: 'CN_DELETE_TOKEN' },
  'mtls-register-trust-anchor': { opcode: 'SR_MTLS_REGISTER_TRUST_ANCHOR' },
  'mtls-deregister-trust-anchor': { opcode: 'SR_MTLS_DEREGISTER_TRUST_ANCHOR' },
  'mtls-list-trust-anchors': 'not recorded',
  'mtls-get-enforcement': 'not recorded',
  'mtls-set-enforcement': { opcode: 'SR_MTLS_SET_ENFORCEMENT' },
  'key-generate-aes': madeKey('CN_GENERATE_KEY'),
  'key-generate-des3': madeKey('CN_GENERATE_KEY'),
  'key-generate-generic-secret': madeKey('CN_GENERATE_KEY'),
  'key-generate-rsa': keyPair,
  'key-generate-ec': keyPair,
  'key-generate-ml-dsa': keyPair,
  'key-generate-ml-kem': keyPair,
  'key-encapsulate': madeKey('CN_DERIVE_KEY'),
  'key-decapsulate': madeKey('CN_DERIVE_KEY'),
  'key-import': madeKey('CN_CREATE_OBJECT'),
  'key-unwrap': madeKey('CN_UNWRAP_KEY'),
  'key-derive': madeKey('CN_DERIVE_KEY'),
  'key-wrap': ofKey('CN_WRAP_KEY'),
  'key-value': ofKey('SR_READ_KEY_VALUE'),
  'key-set-attribute': ofKey('CN_MODIFY_OBJECT'),
  'key-share': ofKey('CN_SHARE_OBJECT'),
  'key-unshare': ofKey('CN_SHARE_OBJECT'),
  'key-find': 'not recorded',
  'key-describe': 'not recorded',
  'key-delete': {
    opcode: (_params, key) => (key?.attributes.token === false ? 'CN_DESTROY_OBJECT' : 'CN_TOMBSTONE_OBJECT'),
    about: ({ handle }) => handle,
    details: ({ handle }, _result, key) => keyDetails(key) ?? { kind: 'keys', secret: handle },
  },
  'key-public': 'not recorded',
  sign: 'not recorded',
  verify: 'not recorded',
  encrypt: 'not recorded',
  decrypt: 'not recorded',
  digest: 'not recorded',
  random: 'not recorded',
  'part-begin': 'not recorded',
  'part-update': 'not recorded',
  'part-finish': 'not recorded',
  'part-cancel': 'not recorded',
}
