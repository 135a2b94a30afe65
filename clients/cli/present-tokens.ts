/** How quorum tokens are printed (data-plane reference §2.3). */
import type { QuorumTokenInfo } from '../../workers/hsm/protocol/client/quorum.ts'

type PresentedToken = Readonly<Record<string, string | number>>

/**
 * One list from those of several HSMs: one entry for a user and an admin service, or for a user, a key service and a key.
 * Numbers that differ are the smallest; a token that some HSMs do not have is covered `partial`.
 */
export function presentTokens(lists: readonly (readonly QuorumTokenInfo[])[]): PresentedToken[] {
  const groups = new Map<string, QuorumTokenInfo[][]>()
  for (const [at, list] of lists.entries()) {
    for (const token of list) {
      const name = JSON.stringify([token.username, token.service, token.handle])
      const perHsm = groups.get(name) ?? lists.map(() => [])
      perHsm[at]?.push(token)
      groups.set(name, perHsm)
    }
  }
  return [...groups.values()].flatMap((perHsm): PresentedToken[] => {
    const tokens = perHsm.flat()
    const [first] = tokens
    if (!first) return []
    const { username, service, handle } = first
    if (handle !== undefined) {
      const count = Math.min(...perHsm.map((list) => list.length))
      return [{ username, service, 'key-reference': handle, 'minimum-token-count': count }]
    }
    const least = (numbers: readonly number[]) => Math.min(...numbers)
    return [
      {
        username,
        service,
        'approvals-required': least(tokens.map((token) => token.approvalsRequired)),
        'number-of-approvals': least(tokens.map((token) => token.approvals)),
        'token-timeout-seconds': least(tokens.map((token) => token.secondsLeft)),
        'cluster-coverage': perHsm.every((list) => list.length > 0) ? 'full' : 'partial',
      },
    ]
  })
}
