/** Writing what must not be lost: durable here, durable on enough HSMs, or undone. */
import { HsmError } from '../protocol/errors.ts'
import { limitedWrites } from '../policy/roles.ts'
import { withApprovals } from '../quorum/spent-approvals.ts'
import type { Replication } from '../replication/replication.ts'
import { recordsOf } from './contested-records.ts'
import type { FeedEntry, RecordStore } from './record-store.ts'

/** How long a write waits for peers, in milliseconds. */
export const SPREAD_TIMEOUT_MS = 2_000

/** AWS's words (data-plane reference §2.3). */
export const TWO_COPIES_TEXT =
  'Cannot perform the requested key operation as the key must be available on at least 2 HSMs'

export interface Vaulted {
  readonly store: RecordStore
  readonly replication: Replication
}

/**
 * Throws PolicyRefused in limited-write mode. Asked by every write of the vault at its last moment, too: one that was
 * under way when the mode began must not be acknowledged, since the backup of that moment lacks it.
 */
export function requireWritable({ replication }: Pick<Vaulted, 'replication'>, what: string): void {
  if (replication.writesLimited) throw limitedWrites(what)
}

type Changes = readonly { readonly path: string; readonly value: Uint8Array | undefined }[]

export interface WriteRule {
  /** HSMs that must hold the change, this one included. */
  readonly copies: number
  /** What is said when fewer do. */
  readonly refusal: string
  /** Asked when so many hold it; when it throws, the change is undone all the same. */
  readonly confirm?: () => void | Promise<void>
}

/**
 * Writes and waits for peers. With fewer than `copies` HSMs holding it in the end, puts back what stood before and
 * throws NotEnoughCopies with `refusal`, QuorumRequired or QuorumFailed when an HSM did not find the approvals that it takes, or
 * what `confirm` throws. Throws PolicyRefused in limited-write mode. The approvals that the work spends go along with the
 * change, and with its undoing.
 */
export async function writeReplicated(
  { store, replication }: Vaulted,
  changes: Changes,
  { copies, refusal, confirm }: WriteRule,
): Promise<void> {
  requireWritable({ replication }, 'the change')
  const stated = recordsOf(store).stating(changes)
  const before = stated.map(({ path }) => ({ path, value: store.get(path)?.value }))
  const entries = await store.write(withApprovals(stated, before))
  try {
    const held = await replication.spread(entries, SPREAD_TIMEOUT_MS)
    if (held < copies) throw replication.refusalOf(entries) ?? new HsmError('NotEnoughCopies', refusal)
    await confirm?.()
  } catch (error) {
    await undo({ store, replication }, entries, before)
    throw error
  }
}

/** Puts back what stood before, but for what this HSM has changed again since. */
async function undo({ store, replication }: Vaulted, entries: readonly FeedEntry[], before: Changes): Promise<void> {
  const stands = (path: string) => entries.some((entry) => entry.path === path && store.get(path)?.seq === entry.seq)
  const back = before.filter(({ path }) => stands(path))
  const undone = await store.write(withApprovals(back, before))
  // A peer that took the change after all takes its undoing as well; nobody waits for that.
  void replication.spread(undone, SPREAD_TIMEOUT_MS)
}
