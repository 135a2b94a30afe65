/**
 * Two API processes over one database, against one. Each is held to a quarter of a core, and so is not short of processors,
 * nor are Postgres and the client: what is left to see is whether something that they share - locks, the database - keeps
 * the second from doing as much as the first. Where this process may not limit others (Linux, root, cgroups), nothing is
 * limited: on a machine of few cores the rate then tells of the machine, and the CPU for each request alone counts.
 */
import { startApiProcesses, type ApiProcess } from './support/api.ts'
import { limitCpu } from './support/cpu-share.ts'
import { load } from './support/http-load.ts'
import { report, type Row } from './support/report.ts'
import { pageRequests, requestBytes } from './support/requests.ts'

const WARM_UP_SECONDS = 4
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
/** To each process. */
const CONNECTIONS = 8
const SHARE = 0.25
const ACCOUNTS = 200

type Requests = (port: number) => Promise<Buffer[]>

const describe: Requests = (port) => pageRequests(port, { page: 25, most: 40 })
const create: Requests = (port) =>
  Promise.resolve(
    Array.from({ length: ACCOUNTS }, (_, n) => {
      const subnet = `subnet-${(0xb0000000 + n).toString(16)}`
      return requestBytes(port, 'CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: [subnet] }, `test-${n}`)
    }),
  )

interface Measured {
  readonly perSecond: number
  /** Milliseconds of CPU of the APIs for each. */
  readonly cpuMs: number
}

async function together(apis: readonly ApiProcess[], requestsFor: Requests, seconds = SECONDS): Promise<Measured> {
  const loads = await Promise.all(apis.map(async ({ port }) => ({ port, requests: await requestsFor(port) })))
  const cpu = async () => (await Promise.all(apis.map((api) => api.cpuMs()))).reduce((sum, each) => sum + each, 0)
  const before = await cpu()
  const results = await Promise.all(loads.map((each) => load({ ...each, connections: CONNECTIONS, seconds })))
  const requests = results.reduce((sum, each) => sum + each.requests, 0)
  return {
    perSecond: results.reduce((sum, each) => sum + each.perSecond, 0),
    cpuMs: ((await cpu()) - before) / requests,
  }
}

const apis = await startApiProcesses(1_000, 2)
// With all the processors there are: code that has not run yet costs many times as much.
for (const kind of [describe, create]) await together(apis, kind, WARM_UP_SECONDS)
const shares = await Promise.all(apis.map(({ pid }) => limitCpu(pid, SHARE)))
const limit = shares.every((share) => share !== undefined) ? shares[0]?.by : undefined
try {
  const rows: Row[] = []
  for (const [name, kind] of [
    ['DescribeClusters, 25 a page', describe],
    ['CreateCluster', create],
  ] as const) {
    const one = await together(apis.slice(0, 1), kind)
    const two = await together(apis, kind)
    const bar = limit === undefined ? 'not limited: see CPU' : '≥ 1.8'
    rows.push(
      { what: `${name}: rate`, ours: two.perSecond, unit: '/s', peer: { name: 'one', value: one.perSecond }, bar },
      { what: `${name}: CPU`, ours: two.cpuMs, unit: 'ms', peer: { name: 'one', value: one.cpuMs }, bar: 'flat' },
    )
  }
  const held = limit === undefined ? 'nothing limited' : `each held to ${SHARE * 100} % of a core by ${limit}`
  report(`Two API processes over one database, ${held}`, rows)
} finally {
  for (const api of apis) await api.stop()
  for (const share of shares) await share?.remove()
}
