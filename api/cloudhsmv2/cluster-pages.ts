/**
 * Pages of clusters as JSON, from what was made before as far as it still holds. Postgres is asked each time: what is kept
 * here is used only when it says that nothing of it has changed, whichever process changed it.
 *
 * Two layers, each bounded in bytes: whole pages, which hold until any cluster or HSM changes; and one text for each
 * cluster, by the version of its row and of its HSMs' rows. Where much changes, the first holds for a moment only; then
 * the second answers, for 0.1 ms more.
 */
import type { Pool } from 'pg'
import { changesSince } from '../../state/cluster-changes.ts'
import { clustersOf, pageVersions, type ClusterQuery } from '../../state/cluster-page.ts'
import type { Database } from '../../state/database.ts'
import { boundedStore, type BoundedStore } from './bounded-store.ts'
import { presentCluster } from './present.ts'
import { together } from './together.ts'

/** Texts of about 10,000 clusters of two HSMs. */
const MOST_BYTES = 32 * 1024 * 1024

/** Of no page. */
const NO_ERA = -1

interface Text {
  readonly version: string
  readonly json: Buffer
}

interface Page {
  /** The era it was read in, or an earlier one than that. */
  readonly era: number
  readonly json: Buffer
}

export interface ClusterPages {
  /** `{"Clusters":[…],"NextToken":…}`: at most `shown` clusters; the token is asked for when there are more. */
  read(query: ClusterQuery, shown: number, tokenAfter: (lastId: string) => string): Promise<Buffer>
}

const ofDatabase = new WeakMap<Database, ClusterPages>()

/** The pages kept for a database; one store for each. */
export function clusterPagesOf(database: Database): ClusterPages {
  let pages = ofDatabase.get(database)
  if (!pages) ofDatabase.set(database, (pages = clusterPages(database.hot)))
  return pages
}

function clusterPages(pool: Pool): ClusterPages {
  const texts = boundedStore<Text>(MOST_BYTES)
  const pages = boundedStore<Page>(MOST_BYTES)
  let generation = 0
  /** Another one whenever something was found to have changed. What is read within it may be newer than it, never older. */
  let era = 0
  let snapshot: string | undefined
  // A new connection may lead to another server: one that took over, or was restored, and counts its transactions from
  // an earlier number. Nothing of what the old one said holds there.
  pool.on('connect', () => {
    generation++
    snapshot = undefined
    texts.clear()
    pages.clear()
  })
  const eraNow = together(async () => {
    const began = generation
    const since = await changesSince(pool, snapshot)
    if (began !== generation) return NO_ERA
    snapshot = since.snapshot
    if (since.changed) era++
    return era
  })
  return {
    read: async (query, shown, tokenAfter) => {
      const key = JSON.stringify(query)
      if (pages.has(key)) {
        const now = await eraNow()
        const kept = pages.get(key)
        if (kept?.era === now) return kept.json
      }
      const began = { generation, era }
      const versions = await pageVersions(pool, query)
      const { parts, isExact, read } = await partsOf(pool, [...versions], shown, tokenAfter, texts)
      const json = Buffer.concat(parts)
      if (began.generation === generation) {
        for (const [id, text] of read) texts.set(id, text, text.json.length)
        if (isExact) pages.set(key, { era: began.era, json }, json.length)
      }
      return json
    },
  }
}

const OPEN = Buffer.from('{"Clusters":[')
const COMMA = Buffer.from(',')
const CLOSE = Buffer.from(']}')

async function partsOf(
  pool: Pool,
  found: readonly (readonly [id: string, version: string])[],
  shown: number,
  tokenAfter: (lastId: string) => string,
  texts: BoundedStore<Text>,
): Promise<{ parts: Buffer[]; isExact: boolean; read: ReadonlyMap<string, Text> }> {
  const page = found.slice(0, shown)
  const missing = page.filter(([id, version]) => texts.get(id)?.version !== version).map(([id]) => id)
  const read = missing.length > 0 ? await textsOf(pool, missing) : new Map<string, Text>()
  const parts: Buffer[] = [OPEN]
  let isExact = true
  for (const [id, version] of page) {
    // What was read a moment after the versions may be newer still; the next question then reads it again.
    const text = read.get(id) ?? texts.get(id)
    isExact &&= text?.version === version
    if (!text) continue
    if (parts.length > 1) parts.push(COMMA)
    parts.push(text.json)
  }
  const last = found.length > shown ? page.at(-1)?.[0] : undefined
  parts.push(last === undefined ? CLOSE : Buffer.from(`],"NextToken":${JSON.stringify(tokenAfter(last))}}`))
  return { parts, isExact, read }
}

async function textsOf(pool: Pool, ids: readonly string[]): Promise<Map<string, Text>> {
  const read = await clustersOf(pool, ids)
  return new Map(
    read.map(({ version, cluster, hsms }) => [
      cluster.id,
      { version, json: Buffer.from(JSON.stringify(presentCluster(cluster, hsms))) },
    ]),
  )
}
