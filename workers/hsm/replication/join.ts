/** Becoming a member: a blank HSM takes over everything that a member has. */
import type { Logger } from 'pino'
import { decodeIdentity, IDENTITY_PATH } from '../identity/cluster-identity.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Member } from '../protocol/values.ts'
import type { RecordStore, VersionedRecord } from '../vault/record-store.ts'
import { followFeed } from './follow-feed.ts'
import { maskingWith } from './masking.ts'
import type { PeerLink } from './peer.ts'

export interface JoinOptions {
  readonly clusterId: string
  /** Whom to ask, in this order. */
  readonly members: readonly Member[]
  readonly store: RecordStore
  readonly connect: (member: Member) => Promise<PeerLink>
  /** Throws for a record that must not be taken over; all are when left out. */
  readonly check?: (record: VersionedRecord) => void
  readonly log: Logger
}

/**
 * Fills the store from the first member that can give everything. The identity is taken over last: until then the HSM
 * stays blank, whatever interrupts, and joining again goes on with what is there. Throws Busy when no member could.
 */
export async function joinCluster(options: JoinOptions): Promise<void> {
  const reasons: string[] = []
  for (const member of options.members) {
    try {
      await joinThrough(member, options)
      return
    } catch (error) {
      if (error instanceof HsmError && error.code === 'StorageFailed') throw error
      options.log.warn({ peer: member.hsmId, reason: String(error) }, 'could not join through a member')
      reasons.push(`${member.hsmId}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new HsmError(
    'Busy',
    `no member of ${options.clusterId} let this HSM join (${reasons.join('; ') || 'none known'})`,
  )
}

async function joinThrough(member: Member, { clusterId, store, connect, check, log }: JoinOptions): Promise<void> {
  const link = await connect(member)
  try {
    const { version, value } = await link.call('join', { clusterId })
    const identity = decodeIdentity(value)
    if (identity.clusterId !== clusterId) throw new HsmError('WrongState', `it belongs to ${identity.clusterId}`)
    const masking = maskingWith(identity.maskingKey)
    let records = 0
    const taken = (entries: readonly unknown[]) => (records += entries.length)
    await followFeed({ link, from: 0, store, masking, except: IDENTITY_PATH, taken, ...(check && { check }) })
    check?.({ path: IDENTITY_PATH, version, value })
    await store.apply([{ path: IDENTITY_PATH, version, value }])
    log.info({ clusterId, through: member.hsmId, records }, 'joined the cluster')
  } finally {
    await link.close()
  }
}
