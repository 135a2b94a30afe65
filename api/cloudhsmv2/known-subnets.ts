/**
 * Subnets that were remembered before. A row of them is written once and never changed or removed, so what was read of it
 * holds; 0.1 ms less for a cluster. One that was not there is asked for again each time.
 */
import type { SubnetId } from '../../provider-schema/ids.ts'
import type { Database } from '../../state/database.ts'
import { knownSubnets, type Subnet } from '../../state/subnets.ts'
import { boundedStore, type BoundedStore } from './bounded-store.ts'

/** Of about 8,000 subnets. */
const MOST_BYTES = 4 * 1024 * 1024
const BYTES_EACH = 256

const ofDatabase = new WeakMap<Database, BoundedStore<Subnet>>()

/** Those of the given ids that are known, whichever account they belong to. */
export async function subnetsKnownIn(database: Database, ids: readonly SubnetId[]): Promise<Subnet[]> {
  const kept = keptOf(database)
  const missing = ids.filter((id) => !kept.has(id))
  const read = missing.length > 0 ? await knownSubnets(database.hot, missing) : []
  for (const subnet of read) kept.set(subnet.id, subnet, BYTES_EACH)
  return [...read, ...ids.flatMap((id) => (missing.includes(id) ? [] : (kept.get(id) ?? [])))]
}

function keptOf(database: Database): BoundedStore<Subnet> {
  let kept = ofDatabase.get(database)
  if (!kept) {
    kept = boundedStore<Subnet>(MOST_BYTES)
    ofDatabase.set(database, kept)
    // A new connection may lead to another server, which was restored from an earlier state.
    database.hot.on('connect', () => kept?.clear())
  }
  return kept
}
