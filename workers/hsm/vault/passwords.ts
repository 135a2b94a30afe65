/** Passwords as they are kept: scrypt (RFC 7914) with a salt for each user, parameters beside the hash. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { bytes } from '../protocol/values.ts'

export const passwordHash = z.object({
  /** CPU and memory cost, block size, parallelism. */
  n: z.number().int().min(16_384).max(1_048_576),
  r: z.number().int().min(8).max(32),
  p: z.number().int().min(1).max(16),
  salt: bytes(64, 16),
  hash: bytes(64, 32),
})
export type PasswordHash = z.infer<typeof passwordHash>

/** 16 MiB and about 50 ms for a guess. */
const COST = { n: 16_384, r: 8, p: 1 } as const
const HASH_BYTES = 32

/** How the vault hashes passwords and checks them. */
export interface Passwords {
  readonly hash: (password: string) => Promise<PasswordHash>
  /** Takes as long without a hash, and says no. */
  readonly check: (password: string, stored: PasswordHash | undefined) => Promise<boolean>
}

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16)
  return { ...COST, salt, hash: await derive(password, { ...COST, salt }) }
}

/** What a name nobody has is compared with, so that it takes as long as one somebody has. */
const NOBODY: PasswordHash = { ...COST, salt: randomBytes(16), hash: randomBytes(HASH_BYTES) }

/** Compares in constant time; without a hash does the same work and says no. */
export async function isPassword(password: string, stored: PasswordHash | undefined): Promise<boolean> {
  const { hash, ...cost } = stored ?? NOBODY
  const derived = await derive(password, cost)
  const same = hash.length === derived.length && timingSafeEqual(hash, derived)
  derived.fill(0)
  return same && stored !== undefined
}

export const SCRYPT: Passwords = { hash: hashPassword, check: isPassword }

function derive(password: string, { n, r, p, salt }: Omit<PasswordHash, 'hash'>): Promise<Buffer> {
  const secret = Buffer.from(password, 'utf8')
  return new Promise((resolve, reject) => {
    scrypt(secret, salt, HASH_BYTES, { N: n, r, p, maxmem: 256 * n * r }, (error, derived) => {
      secret.fill(0)
      if (error) reject(error)
      else resolve(derived)
    })
  })
}
