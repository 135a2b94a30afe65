/**
 * How rows look in an answer: which members are there, and when (control-plane reference §1.1, §1.5, from recordings of
 * the real service). What does not apply is left out, never null.
 */
import type { BackupShape, ClusterShape, HsmShape, TagShape } from '../../provider-schema/shapes.ts'
import type { Backup } from '../../state/backups.ts'
import type { ShownCluster, ShownHsm } from '../../state/cluster-page.ts'

/** A cluster as DescribeClusters shows it. */
export function presentCluster(cluster: ShownCluster, hsms: readonly ShownHsm[]): ClusterShape {
  return {
    ...presentNewCluster(cluster, hsms),
    SecurityGroup: cluster.securityGroup,
    TagList: presentTags(cluster.tags),
  }
}

/** CreateCluster's answer: neither security group nor tags yet (recorded). */
export function presentNewCluster(cluster: ShownCluster, hsms: readonly ShownHsm[] = []): ClusterShape {
  return {
    BackupPolicy: 'DEFAULT',
    BackupRetentionPolicy: { Type: 'DAYS', Value: String(cluster.retentionDays) },
    ClusterId: cluster.id,
    CreateTimestamp: seconds(cluster.createdAt),
    Hsms: hsms.map(presentHsm),
    HsmType: cluster.hsmType,
    ...(cluster.hsmTypeRollbackExpiration && {
      HsmTypeRollbackExpiration: seconds(cluster.hsmTypeRollbackExpiration),
    }),
    ...(cluster.sourceBackupId && { SourceBackupId: cluster.sourceBackupId }),
    State: cluster.state,
    ...(cluster.stateMessage !== null && { StateMessage: cluster.stateMessage }),
    SubnetMapping: cluster.subnetMapping,
    VpcId: cluster.vpcId,
    NetworkType: cluster.networkType,
    Certificates: certificatesOf(cluster, hsms),
    Mode: cluster.mode,
  }
}

/** DeleteCluster's answer: without tags (recorded). */
export function presentLeavingCluster(cluster: ShownCluster): ClusterShape {
  return { ...presentNewCluster(cluster), SecurityGroup: cluster.securityGroup }
}

/** The CSR belongs to an HSM at work; once the owner has signed, the signed certificate is all there is to see. */
function certificatesOf(cluster: ShownCluster, hsms: readonly ShownHsm[]): ClusterShape['Certificates'] {
  switch (cluster.state) {
    case 'UNINITIALIZED':
    case 'INITIALIZE_IN_PROGRESS':
      return hsms.some((hsm) => hsm.state === 'ACTIVE' || hsm.state === 'DEGRADED') ? unsigned(cluster) : {}
    case 'DELETE_IN_PROGRESS':
    case 'DELETED':
      return {}
    default:
      return cluster.clusterCertificate === null ? {} : { ClusterCertificate: cluster.clusterCertificate }
  }
}

function unsigned(cluster: ShownCluster): ClusterShape['Certificates'] {
  const { clusterCsr, hsmCertificate, awsHardwareCertificate, manufacturerHardwareCertificate } = cluster
  return {
    ...(clusterCsr !== null && { ClusterCsr: clusterCsr }),
    ...(hsmCertificate !== null && { HsmCertificate: hsmCertificate }),
    ...(awsHardwareCertificate !== null && { AwsHardwareCertificate: awsHardwareCertificate }),
    ...(manufacturerHardwareCertificate !== null && {
      ManufacturerHardwareCertificate: manufacturerHardwareCertificate,
    }),
  }
}

export function presentHsm(hsm: ShownHsm): HsmShape {
  return {
    AvailabilityZone: hsm.availabilityZone,
    ClusterId: hsm.clusterId,
    SubnetId: hsm.subnetId,
    EniId: hsm.eniId,
    EniIp: hsm.eniIp,
    ...(hsm.eniIpV6 !== null && { EniIpV6: hsm.eniIpV6 }),
    HsmId: hsm.id,
    HsmType: hsm.hsmType,
    State: hsm.state,
    ...(hsm.stateMessage !== null && { StateMessage: hsm.stateMessage }),
  }
}

/** `region` is the one the backup lies in. */
export function presentBackup(backup: Backup, region: string): BackupShape {
  return {
    BackupId: backup.id,
    BackupArn: `arn:aws:cloudhsm:${region}:${backup.account}:backup/${backup.id}`,
    BackupState: backup.state,
    ClusterId: backup.clusterId,
    CreateTimestamp: seconds(backup.createdAt),
    ...(backup.copiedAt && { CopyTimestamp: seconds(backup.copiedAt) }),
    NeverExpires: backup.neverExpires,
    ...(backup.sourceRegion !== null && { SourceRegion: backup.sourceRegion }),
    ...(backup.sourceBackup !== null && { SourceBackup: backup.sourceBackup }),
    ...(backup.sourceCluster !== null && { SourceCluster: backup.sourceCluster }),
    ...(backup.deleteAt && { DeleteTimestamp: seconds(backup.deleteAt) }),
    TagList: presentTags(backup.tags),
    HsmType: backup.hsmType,
    Mode: backup.mode,
  }
}

/** As a consumer sees it: tags are their owner's. */
export function presentSharedBackup(backup: Backup, region: string): BackupShape {
  return { ...presentBackup(backup, region), TagList: [] }
}

/** In the order of their keys. */
export function presentTags(tags: Readonly<Record<string, string>>): TagShape[] {
  return Object.keys(tags)
    .sort()
    .map((key) => ({ Key: key, Value: tags[key] ?? '' }))
}

/** Epoch seconds with the milliseconds behind the point. */
export function seconds(at: Date): number {
  return at.getTime() / 1000
}
