/** More HSMs in a cluster under measurement. */
import type { ManagementOperations } from '../../workers/hsm/protocol/management-operations.ts'
import type { Connection } from '../../workers/hsm/protocol/connection.ts'
import type { HsmProcess, TestCluster } from '../../workers/hsm/testing/process.ts'

const JOIN_TIMEOUT_MS = 120_000

/** Over a management connection, which is closed in the end. */
export async function managing<Result>(
  hsm: HsmProcess,
  work: (management: Connection<ManagementOperations>) => Promise<Result>,
): Promise<Result> {
  const management = await hsm.management()
  return work(management).finally(() => management.close())
}

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
