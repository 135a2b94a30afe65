/**
 * What regions say to each other: HTTP/1.1 over mutual TLS 1.3, both sides with a control certificate
 * `urn:strongroom:control:region:<name>`.
 *
 *   POST /copies                   a CopyAnnouncement → { backupId, offset, done }; the same answer for the same copyId
 *   PUT  /copies/<id>?offset=<n>   bytes from there on → 204
 *   POST /copies/<id>/finish       size and digest are compared, then the copy is READY → 204
 *   POST /copies/<id>/abandon      { reason }: the copy is given up → 204
 *   GET  /accounts?revision=<n>&stamp=<s>   the directory of accounts if it is newer than that, else 204
 *
 * Errors: { error } with status 400 (never to succeed), 404 (no such copy), 409 (wrong offset or content), 500.
 */
import { z } from 'zod'
import { ID_PATTERNS, type BackupId, type ClusterId, type CopyId } from '../../provider-schema/ids.ts'
import { directory, IDENTITY_LIMITS } from '../../provider-schema/identity.ts'
import { CLUSTER_MODES, HSM_TYPES } from '../../provider-schema/limits.ts'

const id = <T extends string>(pattern: RegExp) =>
  z.custom<T>((value) => typeof value === 'string' && pattern.test(value), 'is not an id')

export const COPY_ID = /^copy-[a-z2-7]{11}$/

/** Bytes of the largest backup that is taken in: far above a full HSM's. */
const MAX_BACKUP_BYTES = 1024 ** 3

export const copyAnnouncement = z.object({
  copyId: id<CopyId>(COPY_ID),
  account: z.string().regex(/^\d{12}$/),
  sourceRegion: z.string().max(32),
  sourceBackup: id<BackupId>(ID_PATTERNS.backup),
  sourceCluster: id<ClusterId>(ID_PATTERNS.cluster),
  hsmType: z.enum(HSM_TYPES),
  mode: z.enum(CLUSTER_MODES),
  createdAt: z.number().int().positive(),
  tags: z
    .record(z.string().max(128), z.string().max(256))
    .refine((tags) => Object.keys(tags).length <= 50, 'has more than 50 tags'),
  size: z.number().int().min(1).max(MAX_BACKUP_BYTES),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  clusterCertificate: z.string().max(20_000).nullable(),
  trustAnchor: z.string().max(20_000).nullable(),
})

export const copyProgress = z.object({
  backupId: id<BackupId>(ID_PATTERNS.backup),
  offset: z.number().int().min(0),
  done: z.boolean(),
})
export type CopyProgress = z.infer<typeof copyProgress>

/** All accounts of a region. The secrets in it are sealed. */
export const offeredAccounts = z.object({
  revision: z.int().min(0),
  stamp: z.string().max(64),
  directory,
})
/** Which accounts the caller has. */
export const heldAccounts = z.object({ revision: z.coerce.number().int().min(0), stamp: z.string().max(64) })

/** Characters of the largest answer with accounts: what they may have, and JSON around it. */
export const MAX_ACCOUNTS = IDENTITY_LIMITS.directory + 1_024

/** Bytes of the largest JSON body. */
export const MAX_JSON_BYTES = 256 * 1024
