/** A connection to an HSM for the length of one step. */
import type { Hsm } from '../../state/hsms.ts'
import type { ManagementConnection } from './ports.ts'
import type { JobContext } from './transition.ts'

/** Connects, works, closes. Throws what connecting or the work throws. */
export async function withHsm<Result>(
  ctx: Pick<JobContext, 'ports'>,
  hsm: Pick<Hsm, 'id' | 'listenIp'>,
  work: (connection: ManagementConnection) => Promise<Result>,
): Promise<Result> {
  const connection = await ctx.ports.hsms.connect(hsm)
  try {
    return await work(connection)
  } finally {
    await connection.close()
  }
}
