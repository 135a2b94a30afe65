/**
 * One HSM in the place of another: a new id, and the same ENI, address, subnet and zone (control-plane §2.2). For swaps of
 * the HSM type, and for HSMs that were lost.
 *
 * The old row is gone and the new one there in one transaction, so that the place is never seen empty or held twice. The
 * launch of the new one first takes away what is left of the old.
 */
import { jobs } from '../../provider-schema/jobs.ts'
import type { HsmId } from '../../provider-schema/ids.ts'
import type { HsmType } from '../../provider-schema/limits.ts'
import type { Access } from '../../state/database.ts'
import type { Hsm } from '../../state/hsms.ts'

export interface Replacement {
  readonly id: HsmId
  readonly hsmType: HsmType
  /** StateMessage while it is launched: why it comes. */
  readonly message?: string
  /** What it is part of has rested: its launch does not, at whatever pace. */
  readonly rested?: boolean
}

/**
 * Puts a new HSM, to be launched, in the place of one at rest. Gives it; undefined when the old one is not at rest any
 * more: somebody else was faster. Part of the caller's transaction, which holds the cluster's row.
 */
export async function replaceHsm(tx: Access, old: Hsm, by: Replacement): Promise<Hsm | undefined> {
  const gone = await tx.hsms.changeState(old.id, {
    from: old.state,
    to: 'DELETED',
    // Its process is no member from this moment on, and its address is free for the row to come.
    set: { deletedAt: new Date(), member: false, replaces: null },
  })
  if (!gone) return undefined
  await tx.clusters.nextMembershipEpoch(old.clusterId)
  const { clusterId, account, availabilityZone, subnetId, eniId, eniIp, eniIpV6, listenIp, createdAt } = old
  const place = { clusterId, account, availabilityZone, subnetId, eniId, eniIp, eniIpV6, listenIp, createdAt }
  const hsm = await tx.hsms.insert({
    ...place,
    id: by.id,
    hsmType: by.hsmType,
    state: 'CREATE_IN_PROGRESS',
    stateMessage: by.message ?? null,
    step: 'clear',
    replaces: old.id,
    notBefore: by.rested === true ? new Date() : null,
  })
  await tx.enqueue(jobs.launchHsm, { hsmId: hsm.id })
  return hsm
}
