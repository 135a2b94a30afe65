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
import { startMoto } from './support/moto.ts'
import { report } from './support/report.ts'
import { pageRequests, post } from './support/requests.ts'

const CLUSTERS = 1_000
const PAGE = 25
const CONNECTIONS = 8
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
/** moto 5.2.1 on the machine this was written on. */
const MOTO_STORED = 139

interface Measured {
  readonly full: Load
  readonly half?: Load
  readonly cpuMs?: number
}

async function ours(): Promise<Measured> {
  const api = await startApiProcess(CLUSTERS)
  try {
    const { port } = api
    const requests = await pages(port)
    await load({ port, requests, connections: CONNECTIONS, seconds: 2 })
    const before = await api.cpuMs()
    const full = await load({ port, requests, connections: CONNECTIONS, seconds: SECONDS })
    const cpuMs = ((await api.cpuMs()) - before) / full.requests
    const half = await load({ port, requests, connections: CONNECTIONS, seconds: SECONDS, rate: full.perSecond / 2 })
    return { full, half, cpuMs }
  } finally {
    await api.stop()
  }
}

/** One signed request for every page there is. */
const pages = (port: number) => pageRequests(port, { page: PAGE, most: CLUSTERS / PAGE })

async function moto(): Promise<Measured | undefined> {
  const server = await startMoto()
  if (!server) return undefined
  const { port } = server
  try {
    for (let i = 0; i < CLUSTERS; i++) {
      await post(port, 'CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0a0a0a0a0a0a0a0a1'] })
    }
    const requests = await pages(port)
    return { full: await load({ port, requests, connections: CONNECTIONS, seconds: SECONDS }) }
  } finally {
    server.stop()
  }
}

const mine = await ours()
const theirs = await moto()
const peer = theirs
  ? { name: 'moto', value: theirs.full.perSecond }
  : { name: 'moto (measured earlier)', value: MOTO_STORED }
report(`DescribeClusters: ${CLUSTERS} clusters, ${PAGE} a page, SigV4 verified, ${CONNECTIONS} connections`, [
  { what: 'one API process', ours: mine.full.perSecond, unit: '/s', peer, bar: '≥ 10 × moto' },
  { what: 'p99', ours: mine.full.p99, unit: 'ms', ...(theirs && { peer: { name: 'moto', value: theirs.full.p99 } }) },
  { what: 'p99 at half that load', ours: mine.half?.p99 ?? Number.NaN, unit: 'ms', bar: '< 20 ms' },
  { what: 'CPU of the API per request', ours: mine.cpuMs ?? Number.NaN, unit: 'ms' },
])
