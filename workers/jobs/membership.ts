/**
 * The signed lists of a cluster's members: made from the rows, told to the HSMs.
 *
 * A cluster has one list, but for one case: while a change of the HSM type is rolled back the HSMs of each type have a
 * list of their own. Those of the old type start from the backup before the change, and must not get from the others
 * what was written since.
 */
import type { ClusterId, HsmId } from '../../provider-schema/ids.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Access } from '../../state/database.ts'
import type { Hsm } from '../../state/hsms.ts'
import type { MembershipDocument, SignedMembership } from '../hsm/protocol/management-operations.ts'
import type { HsmPort } from './ports.ts'
import type { JobContext } from './transition.ts'

/** Whether two HSMs of a cluster are to hold the same. */
export function areTogether(
  cluster: Pick<Cluster, 'state'>,
  a: Pick<Hsm, 'hsmType'>,
  b: Pick<Hsm, 'hsmType'>,
): boolean {
  return cluster.state !== 'ROLLBACK_IN_PROGRESS' || a.hsmType === b.hsmType
}

/** The list for one of its members. */
function documentFor(cluster: Cluster, hsms: readonly Hsm[], reader: Pick<Hsm, 'hsmType'>): MembershipDocument {
  const isSwapping = cluster.state === 'MODIFY_IN_PROGRESS' || cluster.state === 'ROLLBACK_IN_PROGRESS'
  return {
    clusterId: cluster.id,
    epoch: cluster.membershipEpoch,
    members: hsms
      .filter((hsm) => hsm.member && areTogether(cluster, hsm, reader))
      .map((hsm) => ({ hsmId: hsm.id, address: hsm.listenIp, eniIp: hsm.eniIp })),
    // Left out otherwise: HSM processes of the version before this one know nothing of it.
    ...(isSwapping && { limitedWrites: true }),
  }
}

/** Cluster and HSMs of one moment; the lock keeps the list from being a mixture of two epochs. */
async function rowsOf(tx: Access, clusterId: ClusterId): Promise<{ cluster: Cluster; hsms: Hsm[] }> {
  const cluster = await tx.clusters.lock(clusterId)
  if (!cluster) throw new Error(`${clusterId} does not exist`)
  return { cluster, hsms: await tx.hsms.ofCluster(clusterId) }
}

/** Makes an HSM a member or ends its membership, once; gives its list as it is from then on, signed. */
export async function setMember(
  ctx: Pick<JobContext, 'database' | 'ports'>,
  hsm: Pick<Hsm, 'id' | 'clusterId' | 'hsmType'>,
  member: boolean,
): Promise<SignedMembership> {
  const document = await ctx.database.transaction(async (tx) => {
    await tx.clusters.lock(hsm.clusterId)
    const now = await tx.hsms.find(hsm.id)
    if (now && now.member !== member) {
      await tx.hsms.update(hsm.id, { member })
      await tx.clusters.nextMembershipEpoch(hsm.clusterId)
    }
    const { cluster, hsms } = await rowsOf(tx, hsm.clusterId)
    return documentFor(cluster, hsms, hsm)
  })
  return ctx.ports.hsms.signMembership(document)
}

/**
 * Tells every member its newest list. An HSM that does not answer is left out: the watcher tells it as soon as it does.
 * Gives the ids of those that know.
 */
export async function announceMembership(
  ctx: Pick<JobContext, 'database' | 'ports' | 'log'>,
  clusterId: ClusterId,
  except: readonly HsmId[] = [],
): Promise<HsmId[]> {
  const { cluster, hsms } = await ctx.database.transaction((tx) => rowsOf(tx, clusterId))
  const told = await Promise.all(
    hsms
      .filter((hsm) => hsm.member && !except.includes(hsm.id))
      .map(async (hsm) => {
        try {
          await tellMembership(ctx.ports.hsms, hsm, documentFor(cluster, hsms, hsm))
          return [hsm.id]
        } catch (error) {
          ctx.log.warn({ hsmId: hsm.id, err: error }, 'an HSM was not told the new list of members')
          return []
        }
      }),
  )
  return told.flat()
}

async function tellMembership(port: HsmPort, hsm: Hsm, document: MembershipDocument): Promise<void> {
  const signed = port.signMembership(document)
  const connection = await port.connect(hsm)
  try {
    await connection.call('membership', signed)
  } finally {
    await connection.close()
  }
}
