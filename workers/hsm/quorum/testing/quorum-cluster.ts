/** Admins and crypto users with keys for approvals, and what an HSM writes of a change, by its own rules or against them. */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { encodeTokenRecord, type QuorumService } from '../../protocol/quorum.ts'
import type { Role } from '../../protocol/values.ts'
import { generateSecret } from '../../mechanisms/secret-keys.ts'
import { encodeKey } from '../../vault/key-record.ts'
import { hashPassword } from '../../vault/passwords.ts'
import { encodeUser, userPath, type UserRecord } from '../../vault/user-record.ts'
import type { SpentApprovals } from '../spent-approvals.ts'
import { encodeValue, valuePath } from '../value-record.ts'

const newKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
export const KEYS = { one: newKey(), two: newKey(), three: newKey(), ann: newKey(), ben: newKey(), cat: newKey() }
export type Signer = keyof typeof KEYS
export const spkiOf = (name: Signer) => KEYS[name].publicKey.export({ type: 'spki', format: 'der' })
export const roleOf = (name: Signer): Role => (['one', 'two', 'three'].includes(name) ? 'admin' : 'crypto-user')

const password = await hashPassword('not-used-1')

export function userRecord(username: string, role: Role, publicKey?: Uint8Array): UserRecord {
  return { username, role, password, ...(publicKey && { tokenSign: { publicKey, mfa: false, quorum: true } }) }
}
export const userChange = (username: string, role: Role, publicKey?: Uint8Array) => ({
  path: userPath(username),
  value: encodeUser(userRecord(username, role, publicKey)),
})

/** A key of ann's that ben may use too and whose management takes two of them. */
export const HANDLE = '0x00000000000000aa'
const material = generateSecret('aes', 32)
export const keyChange = {
  path: `keys/${HANDLE}`,
  value: encodeKey({
    owner: 'ann',
    sharedWith: ['ben'],
    material: material.bytes,
    manageQuorum: 2,
    useQuorum: 0,
    attributes: {
      ...material.attributes,
      class: 'secret-key',
      label: '',
      id: '0x',
      token: true,
      ...{ private: true, sensitive: true, extractable: true, 'always-sensitive': true, 'never-extractable': false },
      ...{ encrypt: true, decrypt: true, wrap: true, unwrap: true, sign: false, verify: false, derive: false },
      ...{ destroyable: true, modifiable: true, trusted: false, 'wrap-with-trusted': false, local: true },
    },
  }),
}

/** Three admins, of whom two must approve changes of users; three crypto users, and the key. */
export const founding = () => [
  ...(Object.keys(KEYS) as Signer[]).map((name) => userChange(name, roleOf(name), spkiOf(name))),
  keyChange,
  { path: valuePath('user'), value: encodeValue(2) },
]

export interface TokenOf {
  readonly service: QuorumService
  readonly by: string
  readonly handle?: string
  /** Of each HSM, the one that spends it first, when it made its part. */
  readonly parts: readonly { readonly hsmId: string; readonly unixSeconds: number }[]
}

export const tokenOf = ({ service, by, handle, parts }: TokenOf): Buffer =>
  Buffer.concat(
    parts.map(({ hsmId, unixSeconds }) =>
      encodeTokenRecord({ service, hsmId, handle, nonce: randomBytes(16), username: by, unixSeconds }),
    ),
  )

export const signedBy = (approvalData: Uint8Array, ...by: (Signer | [Signer, KeyObject])[]): SpentApprovals => ({
  approvalData,
  signatures: by.map((who) => {
    const [username, key] = typeof who === 'string' ? [who, KEYS[who].privateKey] : who
    return { username, role: roleOf(username), signature: sign('sha256', approvalData, key) }
  }),
})
