/** Tokens of HSMs that a user signs for a login, or to register the key for it (data-plane reference §1.4). */
import type { Requests } from './requests.ts'
import type { SignedToken } from './quorum-files.ts'
import type { UserName } from './users.ts'

/** Has tokens signed, by whoever has the key: one for each HSM. Those that are left out have no say. */
export type SignTokens = (tokens: readonly Uint8Array[]) => Promise<readonly SignedToken[]>

/** HSMs close connections that nobody is logged in on after a minute of silence; people take longer to sign. */
const STAY_MS = 20_000

/** Signatures by HSM id, over tokens that are good once and on the connections of this moment only. */
export async function signaturesOf(
  requests: Requests,
  user: UserName,
  sign: SignTokens,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const { username, role } = user
  const given = await requests.each('mfa-token-generate', { username, role })
  const stay = setInterval(() => {
    for (const link of requests.pool.links) link.call('hsm-info', {}).catch(() => undefined)
  }, STAY_MS)
  let signed: readonly SignedToken[]
  try {
    signed = await sign(given.map(({ answer }) => answer.token))
  } finally {
    clearInterval(stay)
  }
  const signatures = new Map<string, Uint8Array>()
  for (const { hsmId, answer } of given) {
    const match = signed.find(({ unsigned }) => Buffer.from(unsigned).equals(answer.token))
    if (match) signatures.set(hsmId, match.signed)
  }
  return signatures
}
