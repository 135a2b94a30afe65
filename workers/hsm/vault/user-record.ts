/** A user as records keep it. Fields may be added; none may change its meaning. */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { ROLES, type Role } from '../protocol/values.ts'
import { passwordHash } from './passwords.ts'
import { tokenSign } from './token-sign.ts'

const packr = new Packr({ useRecords: false })
const PREFIX = 'users/'

const userRecord = z.object({
  username: z.string(),
  role: z.enum(ROLES),
  password: passwordHash,
  /** Absent while no key is registered. */
  tokenSign: tokenSign.optional(),
  /** Of this user and no other who comes under the name. */
  id: z.string().optional(),
})
export type UserRecord = z.infer<typeof userRecord>

export const userPath = (username: string) => PREFIX + username

export function usernameOf(path: string): string | undefined {
  return path.startsWith(PREFIX) ? path.slice(PREFIX.length) : undefined
}

/** The key that the user approves with in this role (DER SubjectPublicKeyInfo), if one is registered. */
export function approvalKeyIn(user: UserRecord | undefined, role: Role): Uint8Array | undefined {
  return user?.role === role && user.tokenSign?.quorum ? user.tokenSign.publicKey : undefined
}

export const encodeUser = (user: UserRecord): Buffer => packr.pack(user)
export const decodeUser = (value: Uint8Array): UserRecord => userRecord.parse(packr.unpack(value))
