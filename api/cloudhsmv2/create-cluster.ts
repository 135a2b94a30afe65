/** CreateCluster: asks for a cluster. Asynchronous: it appears as CREATE_IN_PROGRESS, without HSMs. */
import { invalidRequest, notFound } from '../../provider-schema/errors.ts'
import { backupIdOf, newClusterId, newSecurityGroupId, type AccountId } from '../../provider-schema/ids.ts'
import { LIMITS, type ClusterMode, type HsmType } from '../../provider-schema/limits.ts'
import type { Backup } from '../../state/backups.ts'
import { insertCluster, type NewCluster } from '../../state/new-cluster.ts'
import type { Caller } from '../caller.ts'
import { quotasOf, type ApiPorts } from '../ports.ts'
import { decision } from './operation.ts'
import { presentNewCluster } from './present.ts'
import { retentionDaysOf } from './retention.ts'
import { placeSubnets } from './subnets.ts'
import { tagsOf } from './tags.ts'

export const createCluster = decision('CreateCluster', async ({ input, caller, ports, now }) => {
  const { account } = caller
  const tags = tagsOf(input.TagList ?? [])
  const days = input.BackupRetentionPolicy?.Value
  const retentionDays = days === undefined ? LIMITS.retentionDays.default : retentionDaysOf(days)
  const source = input.SourceBackupId === undefined ? undefined : await sourceOf(input.SourceBackupId, caller, ports)
  const hsmType = offeredType(input.HsmType, ports)
  const mode = modeFor(hsmType, input.Mode, source)
  const { vpcId, mapping, assigned, vpcOfAccount } = await placeSubnets(account, input.SubnetIds, ports)
  const cluster: NewCluster = {
    ...NOTHING_YET,
    id: newClusterId(),
    account,
    hsmType,
    mode,
    networkType: input.NetworkType ?? 'IPV4',
    subnetMapping: mapping,
    vpcId,
    securityGroup: newSecurityGroupId(),
    retentionDays,
    sourceBackupId: source?.id ?? null,
    clusterCertificate: source?.clusterCertificate ?? null,
    trustAnchor: source?.trustAnchor ?? null,
    tags,
    createdAt: now,
  }
  const most = quotasOf(account, ports).clustersPerAccount
  return {
    response: { Cluster: presentNewCluster(cluster) },
    resource: cluster.id,
    write: async (terms) => {
      const isRoom = await insertCluster(ports.database.pool, {
        cluster,
        most,
        subnets: assigned,
        vpcOfAccount,
        ...terms,
      })
      if (isRoom) return
      throw invalidRequest(`This account has the most clusters that it may have in this region: ${most}.`)
    },
  }
})

/** What its job and its first HSM bring. */
const NOTHING_YET = {
  state: 'CREATE_IN_PROGRESS',
  stateMessage: null,
  clusterCsr: null,
  hsmCertificate: null,
  awsHardwareCertificate: null,
  manufacturerHardwareCertificate: null,
  hsmTypeRollbackExpiration: null,
} as const

/** The backup to make the cluster from: READY now, and asked again when the cluster is written. */
async function sourceOf(idOrArn: string, caller: Caller, ports: ApiPorts): Promise<Backup> {
  const id = backupIdOf(idOrArn)
  let owner = caller.account
  if (idOrArn.startsWith('arn:')) {
    const [, , , region, account] = idOrArn.split(':')
    if (region !== ports.region) {
      throw invalidRequest(`The backup ${id} is in ${region ?? 'another region'}: copy it to ${ports.region} first.`)
    }
    // Of another account: IAM, asked before, has seen that it is shared with the caller.
    owner = account as AccountId
  }
  const backup = await ports.database.read.backups.find(id)
  if (backup?.account !== owner || backup.state === 'DELETED') throw notFound('Backup', id)
  if (backup.state !== 'READY') throw invalidRequest(`The backup ${id} is ${backup.state}; it must be READY.`)
  return backup
}

function offeredType(wanted: string, { offeredHsmTypes }: ApiPorts): HsmType {
  const offered = offeredHsmTypes.find((type) => type === wanted)
  // The words of the real service when it closed hsm1.medium (recorded).
  if (offered === undefined) throw invalidRequest('Provided HsmType is not supported.')
  return offered
}

/** A mode is for life: a backup restores into its own mode only. hsm1.medium knows FIPS alone. */
function modeFor(hsmType: HsmType, wanted: ClusterMode | undefined, source: Backup | undefined): ClusterMode {
  const mode = wanted ?? source?.mode ?? 'FIPS'
  if (source && source.mode !== mode) {
    throw invalidRequest(`The backup ${source.id} is of a cluster in ${source.mode} mode, not ${mode}.`)
  }
  if (mode === 'NON_FIPS' && hsmType !== 'hsm2m.medium') {
    throw invalidRequest('The NON_FIPS mode is available with hsm2m.medium only.')
  }
  if (source?.hsmType === 'hsm2m.medium' && hsmType === 'hsm1.medium') {
    throw invalidRequest(`The backup ${source.id} of an hsm2m.medium cannot be restored to an hsm1.medium.`)
  }
  return mode
}
