/**
 * A region that runs apart takes newer accounts over from the others: it may have been down, or not yet there, when
 * `strongroom account` wrote them. It asks when it starts and once a minute; what is newer is a matter of `isNewer` alone, so
 * that all regions end with the same.
 *
 * Who answers is a region of the fleet (mutual TLS), and holds the identity key that the secrets in the document are sealed
 * with: it could sign in as anybody anyway. Nobody gains a right by being believed here.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Database } from '../../state/database.ts'
import type { IdentityVersion, StoredDirectory } from '../../state/identity.ts'
import { textOf } from '../trouble.ts'
import { replaceDirectory } from './replace-directory.ts'

/** The other regions, as far as their accounts go. */
export interface AccountPeers {
  readonly known: readonly string[]
  /** Their directory if it is newer than this version. Rejects when the region cannot be asked. */
  newerAccounts(region: string, than: IdentityVersion): Promise<StoredDirectory | undefined>
}

export interface Levelling {
  /** The region that asks, and its database. */
  readonly region: string
  readonly database: Database
  readonly peers: AccountPeers
  readonly log: Logger
}

const AGAIN_MS = 60_000
/** While a region has not been heard of since the start. */
const UNHEARD_MS = 5_000

/** Whether `a` is the one to keep. Of two changes that were made apart, the same everywhere. */
export const isNewer = (a: IdentityVersion, b: IdentityVersion): boolean =>
  a.revision === b.revision ? a.stamp > b.stamp : a.revision > b.revision

/** Asks the other regions, until the signal. Never rejects. */
export async function keepAccountsLevel(levelling: Levelling, signal: AbortSignal): Promise<void> {
  const unheard = new Set(levelling.peers.known)
  const silent = new Set<string>()
  try {
    for (;;) {
      for (const region of levelling.peers.known) {
        try {
          await levelWith(levelling, region)
          unheard.delete(region)
          silent.delete(region)
        } catch (error) {
          if (signal.aborted) return
          if (!silent.has(region)) {
            silent.add(region)
            levelling.log.warn({ reason: textOf(error) }, `whether the accounts of ${region} are newer is not known`)
          }
        }
      }
      await sleep(unheard.size > 0 ? UNHEARD_MS : AGAIN_MS, undefined, { signal })
    }
  } catch {
    // Only the signal ends it.
  }
}

/** Takes over what a region has newer; gives whether it had. Rejects when it cannot be asked. */
export async function levelWith({ region, database, peers, log }: Levelling, other: string): Promise<boolean> {
  const offered = await peers.newerAccounts(other, await database.read.identity.version())
  if (!offered) return false
  const taken = await database.transaction(async (tx) => {
    await tx.identity.lock()
    const was = await tx.identity.load()
    if (!isNewer(offered, was)) return false
    const by = { kind: 'region', region: other } as const
    await replaceDirectory(tx, was, offered, { region, by, at: new Date(), requestId: randomUUID() })
    return true
  })
  if (taken)
    log.warn({ from: other, revision: offered.revision }, 'the accounts were older than those of another region')
  return taken
}
