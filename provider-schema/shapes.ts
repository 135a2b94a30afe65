/**
 * The shapes that operations are made of, with the constraints of the service model 2017-04-28 (control-plane
 * reference §1.1). A pattern matches the whole value.
 *
 * Input shapes take what the model allows and no more; output shapes say what an answer looks like, and which of its
 * members are always there.
 */
import { z } from 'zod'
import { ID_PATTERNS } from './ids.ts'
import type { BackupId, ClusterId, EniId, HsmId, SecurityGroupId, SubnetId, VpcId } from './ids.ts'
import { CLUSTER_MODES, HSM_TYPES, NETWORK_TYPES } from './limits.ts'
import { BACKUP_STATES, CLUSTER_STATES, HSM_STATES } from './states.ts'

/** A member that may be left out; JSON's null means the same. */
export function optional<Shape extends z.ZodType>(shape: Shape) {
  return shape.nullish().transform((value) => value ?? undefined)
}

const REGION = /^[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\d$/
const ZONE = /^[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\d[a-z]$/

export const clusterId = z.string().regex(ID_PATTERNS.cluster).pipe(z.custom<ClusterId>())
export const hsmId = z.string().regex(ID_PATTERNS.hsm).pipe(z.custom<HsmId>())
export const backupId = z.string().regex(ID_PATTERNS.backup).pipe(z.custom<BackupId>())
export const eniId = z.string().regex(ID_PATTERNS.eni).pipe(z.custom<EniId>())
export const subnetId = z.string().regex(ID_PATTERNS.subnet).pipe(z.custom<SubnetId>())
/** What can carry tags: clusters and backups. */
export const resourceId = z.string().regex(ID_PATTERNS.taggable)
export const backupIdOrArn = z.string().regex(ID_PATTERNS.backupOrArn)
export const resourceArn = z.string().regex(ID_PATTERNS.resourceArn)

export const hsmType = z
  .string()
  .max(32)
  .regex(/^((p|)hsm[0-9][a-z.]*\.[a-zA-Z]+)$/)
export const clusterMode = z.enum(CLUSTER_MODES)
export const networkType = z.enum(NETWORK_TYPES)
export const region = z.string().regex(REGION)
export const availabilityZone = z.string().regex(ZONE)
export const ipAddress = z.string().regex(/^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/)

/** PEM. The model's `+-/` is a range, so `.` and `-` pass. */
export const certificate = z
  .string()
  .max(20_000)
  .regex(/^[a-zA-Z0-9+-/=\s]*$/)

export const retentionPolicy = z.object({
  Type: optional(z.enum(['DAYS'])),
  Value: optional(
    z
      .string()
      .min(1)
      .max(3)
      .regex(/^[0-9]+$/),
  ),
})

const TAG_TEXT = /^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$/u
const tagKey = z.string().min(1).max(128).regex(TAG_TEXT)
export const tag = z.object({ Key: tagKey, Value: z.string().min(0).max(256).regex(TAG_TEXT) })
export const tagList = z.array(tag).min(1).max(50)
export const tagKeyList = z.array(tagKey).min(1).max(50)

/** Values of one filter: the model bounds them at 30. */
export const filters = z.record(z.string().regex(/^[a-zA-Z0-9_-]+$/), z.array(z.string()).max(30))
export const nextToken = z.string().max(256).regex(/^.*$/)
export const maxResults = (most: number) => z.int().min(1).max(most)

/** Seconds since 1970, to the millisecond. Strings break the Go SDK (reference §0). */
const instant = z.number()

/** Output: what DescribeClusters and the operations on clusters show. */
export const cluster = z.object({
  BackupPolicy: z.literal('DEFAULT'),
  BackupRetentionPolicy: z.object({ Type: z.literal('DAYS'), Value: z.string() }),
  ClusterId: z.custom<ClusterId>(),
  CreateTimestamp: instant,
  Hsms: z.array(z.lazy(() => hsm)),
  HsmType: z.enum(HSM_TYPES),
  HsmTypeRollbackExpiration: instant.optional(),
  SecurityGroup: z.custom<SecurityGroupId>().optional(),
  SourceBackupId: z.custom<BackupId>().optional(),
  State: z.enum(CLUSTER_STATES),
  StateMessage: z.string().max(300).optional(),
  SubnetMapping: z.record(z.string(), z.custom<SubnetId>()),
  VpcId: z.custom<VpcId>(),
  NetworkType: networkType,
  Certificates: z.object({
    ClusterCsr: z.string().optional(),
    HsmCertificate: z.string().optional(),
    AwsHardwareCertificate: z.string().optional(),
    ManufacturerHardwareCertificate: z.string().optional(),
    ClusterCertificate: z.string().optional(),
  }),
  TagList: z.array(z.object({ Key: z.string(), Value: z.string() })).optional(),
  Mode: clusterMode,
})

export const hsm = z.object({
  AvailabilityZone: z.string(),
  ClusterId: z.custom<ClusterId>(),
  SubnetId: z.custom<SubnetId>(),
  EniId: z.custom<EniId>(),
  EniIp: z.string(),
  EniIpV6: z.string().max(100).optional(),
  HsmId: z.custom<HsmId>(),
  HsmType: z.enum(HSM_TYPES),
  State: z.enum(HSM_STATES),
  StateMessage: z.string().optional(),
})

export const backup = z.object({
  BackupId: z.custom<BackupId>(),
  BackupArn: z.string(),
  BackupState: z.enum(BACKUP_STATES),
  ClusterId: z.custom<ClusterId>(),
  CreateTimestamp: instant,
  CopyTimestamp: instant.optional(),
  NeverExpires: z.boolean(),
  SourceRegion: z.string().optional(),
  SourceBackup: z.custom<BackupId>().optional(),
  SourceCluster: z.custom<ClusterId>().optional(),
  DeleteTimestamp: instant.optional(),
  TagList: z.array(z.object({ Key: z.string(), Value: z.string() })),
  HsmType: z.enum(HSM_TYPES),
  Mode: clusterMode,
})

export const destinationBackup = z.object({
  CreateTimestamp: instant,
  SourceRegion: z.string(),
  SourceBackup: z.custom<BackupId>(),
  SourceCluster: z.custom<ClusterId>(),
})

export type ClusterShape = z.output<typeof cluster>
export type HsmShape = z.output<typeof hsm>
export type BackupShape = z.output<typeof backup>
export type TagShape = z.output<typeof tag>
export type FiltersShape = z.output<typeof filters>
