/** What is asked for when keys are made, and whether it may be. */
import type { AttributeTemplate, DefaultSet } from '../protocol/attributes.ts'
import { HsmError } from '../protocol/errors.ts'
import type { KeyClass } from './attribute-tables.ts'

/** One key to be made: what it is to be, before there is material. */
export interface KeyOrder {
  readonly class: KeyClass
  readonly template: AttributeTemplate
}

/** What is said of all keys of a request; sharing and quorum values are those of the private or secret key. */
export interface Creation {
  readonly requireTwoCopies: boolean
  readonly defaults?: DefaultSet
  readonly shareWith?: readonly string[]
  readonly manageQuorum?: number
  readonly useQuorum?: number
}

/** Who has a new key besides its owner, and whose approval it takes. */
export interface Holding {
  readonly sharedWith: string[]
  readonly manageQuorum: number
  readonly useQuorum: number
}

export const UNSHARED: Holding = { sharedWith: [], manageQuorum: 0, useQuorum: 0 }

/**
 * Sharing and quorum values of the key that is not public. Throws UserNotFound for who is no crypto user, InvalidRequest
 * for what a public key cannot have and in AWS's words for a quorum of more than the owner and those it is shared with.
 */
export function holdingOf(
  { shareWith = [], manageQuorum = 0, useQuorum = 0 }: Creation,
  owner: string,
  orders: readonly KeyOrder[],
  isCryptoUser: (username: string) => boolean,
): Holding {
  const sharedWith = [...new Set(shareWith)].filter((username) => username !== owner).sort()
  if (sharedWith.length === 0 && manageQuorum === 0 && useQuorum === 0) return UNSHARED
  if (orders.every((order) => order.class === 'public-key')) {
    throw new HsmError(
      'InvalidRequest',
      'a public key is not shared and has no quorum values: every crypto user may use it',
    )
  }
  for (const username of sharedWith) requireCryptoUser(username, isCryptoUser)
  if (Math.max(manageQuorum, useQuorum) > 1 + sharedWith.length) {
    throw new HsmError('InvalidRequest', 'Invalid quorum value provided.')
  }
  return { sharedWith, manageQuorum, useQuorum }
}

export function requireCryptoUser(username: string, isCryptoUser: (username: string) => boolean): void {
  if (isCryptoUser(username)) return
  throw new HsmError('UserNotFound', `there is no user ${username} with the role crypto-user`)
}
