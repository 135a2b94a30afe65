/**
 * ModifyCluster's HsmType: a change of all HSMs of a cluster from hsm1.medium to hsm2m.medium, and within 24 hours back
 * (control-plane reference §2.4).
 */
import { invalidRequest } from '../../provider-schema/errors.ts'
import type { HsmTypeMigration } from '../../provider-schema/hsm-type-migration.ts'
import { jobs } from '../../provider-schema/jobs.ts'
import { HSM_TYPES, LIMITS, ROLLBACK_HOURS, type HsmType } from '../../provider-schema/limits.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Access } from '../../state/database.ts'
import type { Hsm } from '../../state/hsms.ts'
import type { Writing } from './operation.ts'

type Context = Pick<Writing<'ModifyCluster'>, 'tx' | 'now'>

/**
 * Begins to change the type of a cluster's HSMs; the caller holds the cluster's row. Gives the changed row. A cluster
 * without HSMs is of the other type at once. Throws CloudHsmInvalidRequestException, which says what stands against it.
 */
export async function modifyHsmType(context: Context, cluster: Cluster, wanted: string): Promise<Cluster> {
  if (cluster.state !== 'ACTIVE') {
    throw invalidRequest(
      `The cluster ${cluster.id} is ${cluster.state}: its HSM type can be changed only while it is ACTIVE.`,
    )
  }
  const hsmType = HSM_TYPES.find((type) => type === wanted)
  if (hsmType === undefined) throw invalidRequest('Provided HsmType is not supported.')
  if (hsmType === cluster.hsmType) throw invalidRequest(`The HSMs of the cluster ${cluster.id} are ${hsmType} already.`)
  const hsms = await context.tx.hsms.ofCluster(cluster.id)
  requireQuiet(cluster, hsms)
  return hsmType === 'hsm2m.medium' ? migrate(context, cluster, hsms) : rollBack(context, cluster, hsms)
}

/** No HSM comes or goes. */
function requireQuiet(cluster: Cluster, hsms: readonly Hsm[]): void {
  const busy = hsms.find(({ state }) => state === 'CREATE_IN_PROGRESS' || state === 'DELETE_IN_PROGRESS')
  if (!busy) return
  const how = busy.state === 'CREATE_IN_PROGRESS' ? 'added to' : 'removed from'
  throw invalidRequest(
    `The HSM ${busy.id} is being ${how} the cluster ${cluster.id}: its HSM type cannot be changed now.`,
  )
}

async function migrate({ tx, now }: Context, cluster: Cluster, hsms: readonly Hsm[]): Promise<Cluster> {
  if (hsms.length > LIMITS.hsmsPerMigration) {
    throw invalidRequest(
      `The cluster ${cluster.id} has ${hsms.length} HSMs: its HSM type can be changed with at most ${LIMITS.hsmsPerMigration}.`,
    )
  }
  const ill = hsms.find(({ state }) => state !== 'ACTIVE')
  if (ill) throw invalidRequest(`The HSM ${ill.id} is ${ill.state}: all HSMs must be ACTIVE to change their type.`)
  const newest = hsms.length === 0 ? await tx.backups.newestReady(cluster.id, cluster.hsmType) : undefined
  const migration = { from: cluster.hsmType, preMigrationBackup: newest?.id ?? null, swap: null }
  const hsmTypeRollbackExpiration = new Date(now.getTime() + ROLLBACK_HOURS * 3_600_000)
  const set = { hsmType: 'hsm2m.medium', hsmTypeRollbackExpiration, migration } as const
  if (hsms.length === 0) return atOnce(tx, cluster, set)
  return begin(tx, cluster, 'MODIFY_IN_PROGRESS', set)
}

async function rollBack({ tx, now }: Context, cluster: Cluster, hsms: readonly Hsm[]): Promise<Cluster> {
  const { migration, hsmTypeRollbackExpiration: until } = cluster
  if (!migration || !until) {
    throw invalidRequest(
      `The HSM type can be changed from hsm1.medium to hsm2m.medium only; the cluster ${cluster.id} has no change to take back.`,
    )
  }
  if (now >= until) {
    throw invalidRequest(
      `The change of the HSM type of ${cluster.id} could be taken back until ${until.toISOString()}, ` +
        `${ROLLBACK_HOURS} hours after its start.`,
    )
  }
  if (hsms.length === 0) {
    return atOnce(tx, cluster, { hsmType: migration.from, hsmTypeRollbackExpiration: null, migration: null })
  }
  const set = { hsmType: migration.from, migration: { ...migration, lastBackup: 'wanted', swap: null } } as const
  return begin(tx, cluster, 'ROLLBACK_IN_PROGRESS', set)
}

interface Change {
  readonly hsmType: HsmType
  readonly migration: HsmTypeMigration | null
  readonly hsmTypeRollbackExpiration?: Date | null
}

async function atOnce(tx: Access, cluster: Cluster, set: Change): Promise<Cluster> {
  await tx.clusters.update(cluster.id, set)
  return { ...cluster, ...set }
}

/** The new number of the list of members is what takes the HSMs into limited-write mode. */
async function begin(
  tx: Access,
  cluster: Cluster,
  state: 'MODIFY_IN_PROGRESS' | 'ROLLBACK_IN_PROGRESS',
  set: Change,
): Promise<Cluster> {
  const changed = await tx.clusters.changeState(cluster.id, { from: 'ACTIVE', to: state, set })
  if (!changed) throw new Error(`${cluster.id} is locked and ACTIVE, yet it changed`)
  const job = state === 'MODIFY_IN_PROGRESS' ? jobs.migrateHsmType : jobs.rollBackHsmType
  await tx.clusters.nextMembershipEpoch(cluster.id)
  await tx.enqueue(job, { clusterId: cluster.id })
  return changed
}
