/**
 * Who there is: accounts, users, roles, access keys and policies, as they are stored. One document, the same in all
 * regions. Names and lengths are IAM's ("IAM and AWS STS quotas").
 */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'

const accountId = z.string().regex(/^\d{12}$/)
/** Of users and roles. */
export const PRINCIPAL_NAME = /^[\w+=,.@-]{1,64}$/
export const POLICY_NAME = /^[\w+=,.@-]{1,128}$/
export const ACCESS_KEY_ID = /^AKIA[A-Z2-7]{16}$/
const name = z.string().regex(PRINCIPAL_NAME)
const at = z.iso.datetime()

export const IDENTITY_LIMITS = {
  accounts: 1_000,
  /** Users and roles of an account, each. */
  principals: 5_000,
  accessKeysPerPrincipal: 2,
  policiesPerPrincipal: 10,
  tagsPerPrincipal: 50,
  /** Characters of the whole document. */
  directory: 8 * 1024 * 1024,
  sessionSeconds: {
    shortest: 900,
    longestOfRole: 43_200,
    usualOfRole: 3_600,
    longest: 129_600,
    usual: 43_200,
    ofRoot: 3_600,
  },
  sessionPolicy: 2_048,
} as const

const accessKey = z.strictObject({
  id: z.string().regex(ACCESS_KEY_ID),
  /** The secret, sealed with the identity key of the fleet. */
  sealed: z.string(),
  active: z.boolean(),
  createdAt: at,
})
export type StoredAccessKey = z.infer<typeof accessKey>

const tags = z.record(z.string(), z.string())
/** Document by name. */
const policies = z.record(z.string().regex(POLICY_NAME), z.string())

const user = z.strictObject({
  name,
  /** Unlike the name never given twice. */
  id: z.string(),
  createdAt: at,
  tags,
  policies,
  accessKeys: z.array(accessKey),
})
export type StoredUser = z.infer<typeof user>

const role = z.strictObject({
  name,
  id: z.string(),
  createdAt: at,
  tags,
  policies,
  /** Who may take it. */
  trust: z.string(),
  maxSessionSeconds: z.int(),
})
export type StoredRole = z.infer<typeof role>

const account = z.strictObject({
  id: accountId,
  name: z.string().max(128),
  createdAt: at,
  /** Of the account itself: they may do everything in it. */
  accessKeys: z.array(accessKey),
  users: z.array(user),
  roles: z.array(role),
})
export type StoredAccount = z.infer<typeof account>

export const directory = z.strictObject({ accounts: z.array(account) })
export type Directory = z.infer<typeof directory>

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** IAM's prefixes (user guide, "IAM identifiers") and sixteen random base32 characters: 80 bits. */
function withPrefix(prefix: string): string {
  let id = prefix
  for (const byte of randomBytes(16)) id += BASE32.charAt(byte & 31)
  return id
}
export const newAccessKeyId = () => withPrefix('AKIA')
export const newTemporaryKeyId = () => withPrefix('ASIA')
export const newUserId = () => withPrefix('AIDA')
export const newRoleId = () => withPrefix('AROA')
/** 240 random bits in forty characters, as long as AWS's. */
export const newSecretAccessKey = () => randomBytes(30).toString('base64')
