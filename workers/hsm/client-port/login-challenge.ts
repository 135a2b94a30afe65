/**
 * Tokens that are signed for one login (data-plane reference §1.4): each made by this HSM for one user on one connection,
 * good once and not for long. Kept with the connection, so that nobody can use up anybody else's.
 */
import { createHash, randomBytes } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'
import { TOKEN_LIFETIME_SECONDS } from '../protocol/quorum.ts'
import type { Role } from '../protocol/values.ts'
import { challengeHead } from '../vault/token-sign.ts'

interface User {
  readonly username: string
  readonly role: Role
}

export interface LoginChallenge extends User {
  /** What the token is SHA-256 of: names the purpose, this HSM and the user, and ends in 32 random bytes. */
  readonly preimage: Buffer
  /** By the clock of `performance.now`. */
  readonly expiresAt: number
}

interface Challenged {
  challenge: LoginChallenge | undefined
}

/** A new token for this connection, in place of the one before. */
export function newChallenge(session: Challenged, hsmId: string, { username, role }: User): Buffer {
  const preimage = Buffer.concat([challengeHead(hsmId, { username, role }), randomBytes(32)])
  session.challenge = { username, role, preimage, expiresAt: performance.now() + TOKEN_LIFETIME_SECONDS * 1000 }
  return createHash('sha256').update(preimage).digest()
}

/** What the user's token is SHA-256 of; it can be used no more. Throws MfaRequired when there is none. */
export function takeChallenge(session: Challenged, { username, role }: User): Buffer {
  const { challenge } = session
  session.challenge = undefined
  if (challenge?.username === username && challenge.role === role && performance.now() < challenge.expiresAt) {
    return challenge.preimage
  }
  throw new HsmError('MfaRequired', 'there is no token for this user on this connection: get one and sign it')
}
