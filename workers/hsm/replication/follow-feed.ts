/** Taking over what is new in a peer's feed. */
import type { AuditHead } from '../../../provider-schema/audit-file.ts'
import { ConnectionLost, type HsmError } from '../protocol/errors.ts'
import type { Admission, Source } from './admission.ts'
import type { FeedEntry, RecordStore, VersionedRecord } from '../vault/record-store.ts'
import { isNewer } from '../vault/record-version.ts'
import type { Masking } from './masking.ts'
import { BATCH_RECORDS, type Listing } from './peer-operations.ts'
import type { PeerLink } from './peer.ts'

export interface FollowOptions {
  readonly link: Pick<PeerLink, 'call'>
  /** Number in the peer's feed behind which to begin. */
  readonly from: number
  readonly store: RecordStore
  readonly masking: Masking
  /** What looks at the records, and whom they are from; all are taken over when left out. */
  readonly judged?: { readonly admission: Admission; readonly source: Source }
  /** Throws for a record that must not be taken over, where nothing else looks at them. */
  readonly check?: (record: VersionedRecord) => void
  /** Paths to leave out. */
  readonly except?: string
  /** Told what was new here, as it stands in this HSM's own feed. */
  readonly taken?: (entries: readonly FeedEntry[]) => void
  /** Told after each batch that all up to this number is on disk: of what is refused nothing behind it is. */
  readonly reached?: (seq: number) => void
  /** Told how far the peer's audit log is. */
  readonly auditHead?: ((head: AuditHead) => void) | undefined
}

/**
 * Asks for batches until the feed is at its end. Names come first, values only of records that are newer than what is
 * here: what arrived by another way costs a few bytes. At a record that is refused it ends, once the batch is taken over:
 * going on would tell the peer that all before is here. Gives whether it came to the end. Throws what the link or the store
 * throws.
 */
export async function followFeed({ link, from, store, ...options }: FollowOptions): Promise<boolean> {
  for (let after = from; ;) {
    const { listings, auditHead } = await link.call('pull', { after, limit: BATCH_RECORDS })
    if (auditHead) options.auditHead?.(auditHead)
    const last = listings.at(-1)
    if (last === undefined) return true
    if (last.seq <= after) throw new ConnectionLost('the feed of a peer goes backwards')
    const missing = listings.filter((listing) => listing.path !== options.except && isNews(store, listing))
    const refused = await takeOver({ link, store, ...options }, new Set(missing.map(({ path }) => path)))
    const kept = listings.find(({ path }) => refused.has(path))
    if (kept) {
      options.reached?.(kept.seq - 1)
      return false
    }
    after = last.seq
    options.reached?.(after)
  }
}

async function takeOver(
  {
    link,
    store,
    masking,
    taken,
    judged,
    check,
  }: Pick<FollowOptions, 'link' | 'store' | 'masking' | 'taken' | 'judged' | 'check'>,
  missing: Set<string>,
): Promise<ReadonlySet<string>> {
  const refused = new Set<string>()
  // A blank HSM that joins knows nothing to compare with: it takes what a member has, as a restored one takes a backup.
  const take = (records: readonly VersionedRecord[]) =>
    judged
      ? judged.admission.take(records, judged.source, false)
      : store.apply(records).then((entries) => ({ entries, refused: new Map<string, HsmError>() }))
  while (missing.size > 0) {
    const { records } = await link.call('fetch', { paths: [...missing] })
    const wanted = records.filter(({ path }) => missing.delete(path))
    if (wanted.length === 0) throw new ConnectionLost('a peer does not give what it listed')
    const opened = wanted.map((record) => masking.open(record))
    if (check) opened.forEach(check)
    const admitted = await take(opened)
    taken?.(admitted.entries)
    for (const path of admitted.refused.keys()) refused.add(path)
  }
  return refused
}

function isNews(store: RecordStore, { path, version, deleted }: Listing): boolean {
  const candidate = { version, ...(!deleted && { value: new Uint8Array() }) }
  return isNewer(candidate, store.get(path))
}
