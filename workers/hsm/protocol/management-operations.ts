/**
 * The management port (2225): all that the control plane may ask of an HSM (design §6). Mutual TLS 1.3; the caller's
 * certificate comes from the control CA. No operation here reads or uses a key or a user.
 *
 * Every operation may be repeated: a second call with the same arguments answers what the first did.
 */
import { z } from 'zod'
import type { OperationTable } from './envelope.ts'
import { bytes, member } from './values.ts'

const none = z.strictObject({})
const pem = z.string().max(32_768)

/** Bytes of a backup that travel in one frame. */
export const BACKUP_CHUNK_BYTES = 1024 * 1024

/**
 * Where an HSM stands: `blank` (no cluster), `founded` (cluster key and CSR made), `initialized` (cluster certificate
 * installed), `active` (has an admin), `zeroised` (nothing left, for good).
 */
export const HSM_PHASES = ['blank', 'founded', 'initialized', 'active', 'zeroised'] as const
export const hsmPhase = z.enum(HSM_PHASES)
export type HsmPhase = z.infer<typeof hsmPhase>

/**
 * Who belongs to a cluster, signed by the control plane. `document` is the UTF-8 JSON of `membershipDocument`, byte for
 * byte as signed; `signature` is ECDSA with SHA-384 (DER) by the key of the first certificate in `chain`, which the
 * control CA issued.
 */
export const membershipDocument = z.object({
  clusterId: z.string(),
  /** Rises with every change; an HSM ignores a document that is older than the one it has. */
  epoch: z.number().int().min(1),
  members: z.array(member).max(28),
  /**
   * Whether nothing that is kept may change: the cluster's HSMs are being swapped for another type (data-plane §8).
   * Absent in lists of earlier versions.
   */
  limitedWrites: z.boolean().optional(),
})
export type MembershipDocument = z.infer<typeof membershipDocument>
export const signedMembership = z.object({
  document: bytes(65_536),
  signature: bytes(512),
  chain: pem,
})
export type SignedMembership = z.infer<typeof signedMembership>

export const managementOperations = {
  health: {
    params: none,
    result: z.object({
      hsmId: z.string(),
      pid: z.number(),
      version: z.string(),
      phase: hsmPhase,
      clusterId: z.string().optional(),
      membershipEpoch: z.number(),
      /** Peers of the membership that this HSM has a working connection to. */
      peersConnected: z.array(z.string()),
      /** Peers that hold everything this HSM holds. */
      peersInSync: z.array(z.string()),
      keys: z.number(),
      /** Of these, session keys. */
      sessionKeys: z.number().optional(),
      users: z.number(),
      sessions: z.number(),
      /**
       * Client software that logged in within the last 14 days, as it called itself in `hello`, and when it did so last
       * (epoch milliseconds). Absent in answers of earlier versions.
       */
      clients: z
        .array(z.object({ client: z.string(), seenAt: z.number() }))
        .max(64)
        .optional(),
      draining: z.boolean(),
      uptimeSeconds: z.number(),
    }),
  },
  /**
   * What is kept here for the whole cluster, counted, with a digest (BLAKE3, hexadecimal) of the names and versions of
   * all records but the cluster's identity: two HSMs with the same digest hold the same.
   */
  inventory: {
    params: none,
    result: z.object({ records: z.number(), keys: z.number(), users: z.number(), digest: z.string().max(128) }),
  },
  /** blank → founded: makes cluster key pair, CSR, masking key and the unactivated admin. */
  found: {
    params: z.strictObject({
      clusterId: z.string(),
      mode: z.enum(['FIPS', 'NON_FIPS']),
      hsmType: z.string(),
      membership: signedMembership,
    }),
    result: z.object({ csr: pem, hsmCertificate: pem }),
  },
  /** founded → initialized. CertificateInvalid when it is not for the cluster key or the trust anchor did not issue it. */
  'install-certificate': {
    params: z.strictObject({ clusterCertificate: pem, trustAnchor: pem }),
    result: none,
  },
  /** A newer list of members. PermissionDenied when the signature or the chain does not hold. */
  membership: { params: signedMembership, result: z.object({ epoch: z.number() }) },
  /**
   * blank → the phase of the cluster: fetches cluster key, masking key and all content from a member over the peer
   * port. Answers when everything is stored durably.
   */
  join: {
    params: z.strictObject({ clusterId: z.string(), membership: signedMembership }),
    result: z.object({ phase: hsmPhase }),
  },
  /** Seals the whole content into a file inside the HSM; the same backupId gives the same file until backup-end. */
  'backup-begin': {
    params: z.strictObject({ backupId: z.string().max(64) }),
    result: z.object({ size: z.number(), digest: z.string() }),
  },
  'backup-read': {
    params: z.strictObject({
      backupId: z.string().max(64),
      offset: z.number().int().min(0),
      length: z.number().int().min(1).max(BACKUP_CHUNK_BYTES),
    }),
    result: z.object({ bytes: bytes(BACKUP_CHUNK_BYTES) }),
  },
  'backup-end': { params: z.strictObject({ backupId: z.string().max(64) }), result: none },
  /** Announces a backup to restore; answers how many bytes of it are here already. */
  'restore-begin': {
    params: z.strictObject({
      backupId: z.string().max(64),
      size: z.number().int().min(1),
      digest: z.string().max(128),
    }),
    result: z.object({ offset: z.number() }),
  },
  'restore-write': {
    params: z.strictObject({
      backupId: z.string().max(64),
      offset: z.number().int().min(0),
      bytes: bytes(BACKUP_CHUNK_BYTES, 1),
    }),
    result: z.object({ offset: z.number() }),
  },
  /**
   * blank → the phase the backup was taken in. BackupInvalid when the seal or the mode does not fit, StorageFailed when what
   * arrived does not have the announced size and digest: it may be sent anew. The HSM stays blank then. The cluster gets a new masking key; cluster key pair and certificate are the backup's.
   */
  'restore-commit': {
    params: z.strictObject({
      backupId: z.string().max(64),
      clusterId: z.string(),
      mode: z.enum(['FIPS', 'NON_FIPS']),
      hsmType: z.string(),
      membership: signedMembership,
    }),
    result: z.object({ phase: hsmPhase, clusterCertificate: pem.optional(), trustAnchor: pem.optional() }),
  },
  /** Takes no new client connections or requests and answers when those under way are done and peers hold everything. */
  drain: { params: z.strictObject({ timeoutMs: z.number().int().min(0).max(60_000) }), result: none },
  /** Takes clients again after a drain: what it was drained for did not happen. */
  resume: { params: none, result: none },
  /**
   * The end of an HSM, and its tamper response: cuts off its clients, destroys the seal key, then everything else. Answers
   * when it is gone; the process ends at once.
   */
  zeroise: { params: none, result: none },
} as const satisfies OperationTable

export type ManagementOperations = typeof managementOperations
