/** The signed list of a cluster's members: made from the rows, told to the HSMs. */
import type { ClusterId, HsmId } from '../../provider-schema/ids.ts'
import type { Access } from '../../state/database.ts'
import type { Hsm } from '../../state/hsms.ts'
import type { MembershipDocument, SignedMembership } from '../hsm/protocol/management-operations.ts'
import type { HsmPort } from './ports.ts'
import type { JobContext } from './transition.ts'

/** The list as the rows have it now. Read it with the cluster locked, or it may be a mixture of two epochs. */
export async function membershipOf(tx: Access, clusterId: ClusterId): Promise<MembershipDocument> {
  const cluster = await tx.clusters.lock(clusterId)
  const hsms = await tx.hsms.ofCluster(clusterId)
  return {
    clusterId,
    epoch: cluster?.membershipEpoch ?? 0,
    members: hsms
      .filter((hsm) => hsm.member)
      .map((hsm) => ({ hsmId: hsm.id, address: hsm.listenIp, eniIp: hsm.eniIp })),
  }
}

/** Makes an HSM a member or ends its membership, once; gives the list as it is from then on, signed. */
export async function setMember(
  ctx: Pick<JobContext, 'database' | 'ports'>,
  hsm: Pick<Hsm, 'id' | 'clusterId'>,
  member: boolean,
): Promise<SignedMembership> {
  const document = await ctx.database.transaction(async (tx) => {
    await tx.clusters.lock(hsm.clusterId)
    const now = await tx.hsms.find(hsm.id)
    if (now && now.member !== member) {
      await tx.hsms.update(hsm.id, { member })
      await tx.clusters.nextMembershipEpoch(hsm.clusterId)
    }
    return membershipOf(tx, hsm.clusterId)
  })
  return ctx.ports.hsms.signMembership(document)
}

/**
 * Tells every member the newest list. An HSM that does not answer is left out: the watcher tells it as soon as it does.
 * Gives the ids of those that know.
 */
export async function announceMembership(
  ctx: Pick<JobContext, 'database' | 'ports' | 'log'>,
  clusterId: ClusterId,
  except: readonly HsmId[] = [],
): Promise<HsmId[]> {
  const { document, hsms } = await ctx.database.transaction(async (tx) => ({
    document: await membershipOf(tx, clusterId),
    hsms: await tx.hsms.ofCluster(clusterId),
  }))
  const signed = ctx.ports.hsms.signMembership(document)
  const told = await Promise.all(
    hsms
      .filter((hsm) => hsm.member && !except.includes(hsm.id))
      .map(async (hsm) => {
        try {
          await tellMembership(ctx.ports.hsms, hsm, signed)
          return [hsm.id]
        } catch (error) {
          ctx.log.warn({ hsmId: hsm.id, err: error }, 'an HSM was not told the new list of members')
          return []
        }
      }),
  )
  return told.flat()
}

async function tellMembership(port: HsmPort, hsm: Hsm, signed: SignedMembership): Promise<void> {
  const connection = await port.connect(hsm)
  try {
    await connection.call('membership', signed)
  } finally {
    await connection.close()
  }
}
