/** More HSMs in a cluster under measurement. */
import { managing, type HsmProcess, type TestCluster } from '../../workers/hsm/testing/process.ts'

const JOIN_TIMEOUT_MS = 120_000

/** Lets an HSM that was just started join the others. Resolves when it has everything: gives the milliseconds of that. */
export async function join(
  { pki, clusterId }: TestCluster,
  others: readonly HsmProcess[],
  next: HsmProcess,
): Promise<number> {
  const all = [...others, next]
  const membership = pki.signMembership({ clusterId, epoch: all.length, members: all.map(({ member }) => member) })
  for (const hsm of others) await managing(hsm, (old) => old.call('membership', membership))
  return managing(next, async (management) => {
    const began = performance.now()
    await management.call('join', { clusterId, membership }, { timeoutMs: JOIN_TIMEOUT_MS })
    return performance.now() - began
  })
}
