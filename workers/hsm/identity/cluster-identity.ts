/**
 * What makes HSMs one cluster: the record `cluster/identity`, the same on all of them. It holds the cluster key pair,
 * whose certificate clients verify, and the masking key, under which records travel between HSMs.
 */
import { createPrivateKey, randomBytes, type KeyObject } from 'node:crypto'
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { HsmError } from '../protocol/errors.ts'
import { bytes } from '../protocol/values.ts'
import type { FeedEntry, RecordStore, VersionedRecord } from '../vault/record-store.ts'

export const IDENTITY_PATH = 'cluster/identity'
export const MASKING_KEY_BYTES = 32

const packr = new Packr({ useRecords: false })

const identityRecord = z.object({
  clusterId: z.string(),
  hsmType: z.string(),
  mode: z.enum(['FIPS', 'NON_FIPS']),
  maskingKey: bytes(MASKING_KEY_BYTES, MASKING_KEY_BYTES),
  /** PKCS #8, DER. */
  clusterKey: bytes(8192),
  /** PEM, as are the following. Request for the cluster certificate. */
  csr: z.string(),
  /** The cluster key certified by the device that made it; absent in a cluster that came from a backup. */
  hsmCertificate: z.string().optional(),
  /** Signed by the customer's CA; absent before InitializeCluster, as is the trust anchor. */
  clusterCertificate: z.string().optional(),
  trustAnchor: z.string().optional(),
})
export type IdentityRecord = z.infer<typeof identityRecord>

/** Throws ZodError when the bytes are no cluster identity. */
export function decodeIdentity(value: Uint8Array): IdentityRecord {
  return identityRecord.parse(packr.unpack(value))
}

export function encodeIdentity(identity: IdentityRecord): Uint8Array {
  return packr.pack(identity)
}

export function newMaskingKey(): Uint8Array {
  return randomBytes(MASKING_KEY_BYTES)
}

/** The cluster identity as it stands in the store, kept current. */
export interface ClusterIdentity {
  /** Undefined while the HSM belongs to no cluster. */
  readonly current: IdentityRecord | undefined
  /** Certificate chain and key that the client port shows, PEM; undefined before InitializeCluster. */
  readonly clientTls: { readonly cert: string; readonly key: string } | undefined
  /** Called after each durable change, this HSM's own or a peer's. */
  onChange(listener: (identity: IdentityRecord) => void): void
}

export function clusterIdentity(store: Pick<RecordStore, 'get' | 'onCommit'>): ClusterIdentity {
  const listeners: ((identity: IdentityRecord) => void)[] = []
  const kept = store.get(IDENTITY_PATH)?.value
  let current = kept && decodeIdentity(kept)
  store.onCommit((entries: readonly FeedEntry[]) => {
    for (const { path, value } of entries) {
      if (path !== IDENTITY_PATH || value === undefined) continue
      current = decodeIdentity(value)
      for (const listener of listeners) listener(current)
    }
  })
  return {
    get current() {
      return current
    },
    get clientTls() {
      return current && clusterTlsOf(current)
    },
    onChange: (listener) => void listeners.push(listener),
  }
}

/** Certificate chain and key that the client port shows, PEM; undefined before InitializeCluster. */
export function clusterTlsOf(identity: IdentityRecord): ClusterIdentity['clientTls'] {
  const key = clusterKeyOf(identity).export({ format: 'pem', type: 'pkcs8' })
  if (identity.clusterCertificate === undefined) return undefined
  return { cert: identity.clusterCertificate + intermediates(identity.trustAnchor), key }
}

/** Of its identity a cluster changes the certificates alone. Throws InvalidRequest for anything else. */
export function requireSameCluster(
  record: Pick<VersionedRecord, 'value'>,
  standing: VersionedRecord | undefined,
): void {
  if (!record.value || !standing?.value) return
  const [one, other] = [decodeIdentity(record.value), decodeIdentity(standing.value)]
  const isSame = (['maskingKey', 'clusterKey'] as const).every((name) => Buffer.from(one[name]).equals(other[name]))
  if (isSame && one.clusterId === other.clusterId && one.mode === other.mode) return
  throw new HsmError('InvalidRequest', `it is the identity of another cluster than ${other.clusterId}`)
}

export function clusterKeyOf(identity: Pick<IdentityRecord, 'clusterKey'>): KeyObject {
  return createPrivateKey({ key: Buffer.from(identity.clusterKey), format: 'der', type: 'pkcs8' })
}

/** A trust anchor may be a chain, issuer first (data-plane §7): all but its root are shown to clients too. */
function intermediates(trustAnchor = ''): string {
  const certificates = trustAnchor.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
  return certificates
    .slice(0, -1)
    .map((certificate) => `\n${certificate}\n`)
    .join('')
}
