/**
 * DescribeClusters: 1,000 clusters of two HSMs stored, pages of 25, SigV4 verified, one API process over Postgres, eight
 * connections. Peer: moto server (Python), asked the same in the same run; where it is not installed, a figure that was
 * measured earlier and is marked so.
 *
 * Requests are signed before the clock starts (a signature is good for five minutes, and verified every time), so the
 * load comes almost for free and the API gets a core for itself on a machine with two.
 */
import { startApiProcess } from './support/api.ts'
import { load, type Load } from './support/http-load.ts'
import { measured, type Measured } from './support/measured.ts'
import { startMoto } from './support/moto.ts'
import { report } from './support/report.ts'
import { pageRequests, post } from './support/requests.ts'

const CLUSTERS = 1_000
const PAGE = 25
const CONNECTIONS = 8
/** V8 compiles for as long what is hot, with threads that take a processor each from others of this small machine. */
const WARM_UP_SECONDS = 15
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
/** moto 5.2.1 on the machine this was written on. */
const MOTO_STORED = 139

async function ours(): Promise<{ full: Measured; half: Load }> {
  const api = await startApiProcess(CLUSTERS)
  try {
    const { port } = api
    const requests = await pages(port)
    await load({ port, requests, connections: CONNECTIONS, seconds: WARM_UP_SECONDS })
    const full = await measured(api, { requests, connections: CONNECTIONS, seconds: SECONDS })
    const half = await load({ port, requests, connections: CONNECTIONS, seconds: SECONDS, rate: full.perSecond / 2 })
    return { full, half }
  } finally {
    await api.stop()
  }
}

/** One signed request for every page there is. */
const pages = (port: number) => pageRequests(port, { page: PAGE, most: CLUSTERS / PAGE })

/** Its best: its threads share one processor, and may be faster with fewer connections. */
async function moto(): Promise<Load | undefined> {
  const server = await startMoto()
  if (!server) return undefined
  const { port } = server
  try {
    for (let i = 0; i < CLUSTERS; i++) {
      await post(port, 'CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0a0a0a0a0a0a0a0a1'] })
    }
    const requests = await pages(port)
    const by = async (connections: number) => load({ port, requests, connections, seconds: SECONDS })
    const [one, all] = [await by(1), await by(CONNECTIONS)]
    return one.perSecond > all.perSecond ? one : all
  } finally {
    server.stop()
  }
}

const mine = await ours()
const theirs = await moto()
const peer = theirs
  ? { name: 'moto', value: theirs.perSecond }
  : { name: 'moto (measured earlier)', value: MOTO_STORED }
report(`DescribeClusters: ${CLUSTERS} clusters, ${PAGE} a page, SigV4 verified, ${CONNECTIONS} connections`, [
  { what: 'one API process', ours: mine.full.perSecond, unit: '/s', peer, bar: '≥ 10 × moto' },
  { what: 'p99', ours: mine.full.p99, unit: 'ms', ...(theirs && { peer: { name: 'moto', value: theirs.p99 } }) },
  { what: 'p99 at half that load', ours: mine.half.p99, unit: 'ms', bar: '< 20 ms' },
  { what: 'CPU of the API per request', ours: mine.full.cpuMs.api, unit: 'ms' },
  { what: 'CPU of Postgres per request', ours: mine.full.cpuMs.postgres, unit: 'ms' },
  { what: 'CPU of the client per request', ours: mine.full.cpuMs.client, unit: 'ms' },
])
