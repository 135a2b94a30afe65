/**
 * The output shapes of the service model 2017-04-28 as it was published, written down apart from the product's own: each
 * member's name, type and whether it is required. Nothing else may be in an answer, and no member is null.
 */
import { z } from 'zod'

const text = z.string()
/** Epoch seconds: a number, to the millisecond. Not so small or large that it could be another unit. */
const timestamp = z
  .number()
  .min(1e8)
  .max(1e11)
  .refine((at) => Math.abs(at * 1000 - Math.round(at * 1000)) < 1e-3, 'not whole milliseconds')

const tags = z.array(z.strictObject({ Key: text, Value: text }))
const mode = z.enum(['FIPS', 'NON_FIPS'])
const clusterState = z.enum([
  'CREATE_IN_PROGRESS',
  'UNINITIALIZED',
  'INITIALIZE_IN_PROGRESS',
  'INITIALIZED',
  'ACTIVE',
  'UPDATE_IN_PROGRESS',
  'MODIFY_IN_PROGRESS',
  'ROLLBACK_IN_PROGRESS',
  'DELETE_IN_PROGRESS',
  'DELETED',
  'DEGRADED',
])

const hsm = z
  .strictObject({
    AvailabilityZone: text,
    ClusterId: text,
    SubnetId: text,
    EniId: text,
    EniIp: text,
    EniIpV6: text,
    HsmId: text,
    HsmType: text,
    State: z.enum(['CREATE_IN_PROGRESS', 'ACTIVE', 'DEGRADED', 'DELETE_IN_PROGRESS', 'DELETED']),
    StateMessage: text,
  })
  .partial()
  .required({ HsmId: true })

const certificates = z
  .strictObject({
    ClusterCsr: text,
    HsmCertificate: text,
    AwsHardwareCertificate: text,
    ManufacturerHardwareCertificate: text,
    ClusterCertificate: text,
  })
  .partial()

const cluster = z
  .strictObject({
    BackupPolicy: z.enum(['DEFAULT']),
    BackupRetentionPolicy: z.strictObject({ Type: z.enum(['DAYS']), Value: text }).partial(),
    ClusterId: text,
    CreateTimestamp: timestamp,
    Hsms: z.array(hsm),
    HsmType: text,
    HsmTypeRollbackExpiration: timestamp,
    PreCoPassword: text,
    SecurityGroup: text,
    SourceBackupId: text,
    State: clusterState,
    StateMessage: text.max(300),
    SubnetMapping: z.record(text, text),
    VpcId: text,
    NetworkType: z.enum(['IPV4', 'DUALSTACK']),
    Certificates: certificates,
    TagList: tags,
    Mode: mode,
  })
  .partial()

const backup = z
  .strictObject({
    BackupId: text,
    BackupArn: text,
    BackupState: z.enum(['CREATE_IN_PROGRESS', 'READY', 'DELETED', 'PENDING_DELETION']),
    ClusterId: text,
    CreateTimestamp: timestamp,
    CopyTimestamp: timestamp,
    NeverExpires: z.boolean(),
    SourceRegion: text,
    SourceBackup: text,
    SourceCluster: text,
    DeleteTimestamp: timestamp,
    TagList: tags,
    HsmType: text,
    Mode: mode,
  })
  .partial()
  .required({ BackupId: true })

const destination = z
  .strictObject({ CreateTimestamp: timestamp, SourceRegion: text, SourceBackup: text, SourceCluster: text })
  .partial()

const ofCluster = z.strictObject({ Cluster: cluster }).partial()
const ofBackup = z.strictObject({ Backup: backup }).partial()
const ofPolicy = z.strictObject({ ResourceArn: text, Policy: text }).partial()
const nothing = z.strictObject({})

export const PUBLISHED_OUTPUTS: Readonly<Record<string, z.ZodType>> = {
  CopyBackupToRegion: z.strictObject({ DestinationBackup: destination }).partial(),
  CreateCluster: ofCluster,
  CreateHsm: z.strictObject({ Hsm: hsm }).partial(),
  DeleteBackup: ofBackup,
  DeleteCluster: ofCluster,
  DeleteHsm: z.strictObject({ HsmId: text }).partial(),
  DeleteResourcePolicy: ofPolicy,
  DescribeBackups: z.strictObject({ Backups: z.array(backup), NextToken: text.max(256) }).partial(),
  DescribeClusters: z.strictObject({ Clusters: z.array(cluster), NextToken: text.max(256) }).partial(),
  GetResourcePolicy: z.strictObject({ Policy: text }).partial(),
  InitializeCluster: z.strictObject({ State: clusterState, StateMessage: text.max(300) }).partial(),
  ListTags: z
    .strictObject({ TagList: tags, NextToken: text.max(256) })
    .partial()
    .required({ TagList: true }),
  ModifyBackupAttributes: ofBackup,
  ModifyCluster: ofCluster,
  PutResourcePolicy: ofPolicy,
  RestoreBackup: ofBackup,
  TagResource: nothing,
  UntagResource: nothing,
}
