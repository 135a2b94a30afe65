/** What may be said of every key that is made, however it comes to be. */
import { z } from 'zod'
import { DEFAULT_SETS } from '../attributes.ts'
import { username } from '../values.ts'
import { requireTwoCopies } from './two-copies.ts'

/** Data-plane §5. */
export const MAX_QUORUM = 8

const quorum = z.number().int().min(0).max(MAX_QUORUM).default(0)

/** Sharing and quorum values are of the private key when a pair is made. */
export const creation = {
  requireTwoCopies,
  /** Whose defaults hold for what the templates leave out. */
  defaults: z.enum(DEFAULT_SETS).default('cli'),
  /** Crypto users who may use the key from the start. */
  shareWith: z.array(username).max(1024).default([]),
  /** Fixed for the key's life; at most the owner and those it is shared with. */
  manageQuorum: quorum,
  useQuorum: quorum,
} as const
