/** What may be said of every key that is made: session or token, who shares it, and whose approval it takes. */
import { z } from 'zod'
import { MAX_QUORUM } from '../../../workers/hsm/protocol/client/creation.ts'
import { username } from '../../../workers/hsm/protocol/values.ts'
import type { OptionSpec } from '../command.ts'

export const sharingFlags = [
  { flags: '--share-crypto-users <usernames...>', description: 'crypto users who may use the key' },
] as const satisfies readonly OptionSpec[]

/** For a pair the values are the private key's, and so are the flags' names. */
export const quorumFlags = (whose: '' | 'private-') =>
  [
    {
      flags: `--manage-${whose}key-quorum-value <number>`,
      description: 'how many users approve of wrapping, unwrapping with, sharing and changing the key',
    },
    {
      flags: `--use-${whose}key-quorum-value <number>`,
      description: 'how many users approve of signing with the key',
    },
  ] satisfies readonly OptionSpec[]

const quorumValue = z.coerce.number().int().min(0).max(MAX_QUORUM).optional()

export const sharingInput = { shareCryptoUsers: z.array(username).default([]) }
export const quorumInput = { manageKeyQuorumValue: quorumValue, useKeyQuorumValue: quorumValue }
export const privateQuorumInput = { managePrivateKeyQuorumValue: quorumValue, usePrivateKeyQuorumValue: quorumValue }

interface Sharing {
  readonly shareCryptoUsers: string[]
}

/** What the HSM is asked beside attributes. */
export function creationOf(
  { shareCryptoUsers }: Sharing,
  manageQuorum: number | undefined,
  useQuorum: number | undefined,
) {
  return {
    shareWith: shareCryptoUsers,
    ...(manageQuorum !== undefined && { manageQuorum }),
    ...(useQuorum !== undefined && { useQuorum }),
  }
}
