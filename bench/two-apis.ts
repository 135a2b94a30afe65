/**
 * Two API processes over one database, against one. Each is held to a quarter of a core, and so is not short of processors,
 * nor are Postgres and the client: what is left to see is whether something that they share - locks, the database - keeps
 * the second from doing as much as the first. The round with the median ratio is reported. Where this process may not
 * limit others (Linux, root, cgroups), nothing is limited: on a machine of few cores the rate then tells of the machine,
 * and the CPU for each request alone counts.
 */
import { startApiProcesses, type ApiProcess } from './support/api.ts'
import { limitCpu } from './support/cpu-share.ts'
import { load } from './support/http-load.ts'
import { medianBy, report, type Row } from './support/report.ts'
import { pageRequests, requestBytes } from './support/requests.ts'

const WARM_UP_SECONDS = 10
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
/** To each process. */
const CONNECTIONS = 8
const SHARE = 0.25
const ACCOUNTS = 200
const [CLUSTERS, PAGE] = [10_000, 25]
/** One, two, one, two, …: what else happens on the machine, and code that is still being compiled, meets both alike. */
const ROUNDS = 3

interface Offer {
  readonly api: ApiProcess
  readonly requests: readonly Buffer[]
}

const describing = async (api: ApiProcess): Promise<Offer> => ({
  api,
  requests: await pageRequests(api.port, { page: PAGE, most: CLUSTERS / PAGE }),
})

const creating = (api: ApiProcess): Offer => ({
  api,
  requests: Array.from({ length: ACCOUNTS }, (_, n) => {
    const input = { HsmType: 'hsm2m.medium', SubnetIds: [`subnet-${(0xb0000000 + n).toString(16)}`] }
    return requestBytes(api.port, 'CreateCluster', input, `test-${n}`)
  }),
})

interface Measured {
  readonly perSecond: number
  /** Milliseconds of CPU of the APIs for each. */
  readonly cpuMs: number
}

async function together(offers: readonly Offer[], seconds = SECONDS): Promise<Measured> {
  const cpu = async () => (await Promise.all(offers.map(({ api }) => api.cpuMs()))).reduce((sum, each) => sum + each, 0)
  const before = await cpu()
  const results = await Promise.all(
    offers.map(({ api: { port }, requests }) => load({ port, requests, connections: CONNECTIONS, seconds })),
  )
  const requests = results.reduce((sum, each) => sum + each.requests, 0)
  return {
    perSecond: results.reduce((sum, each) => sum + each.perSecond, 0),
    cpuMs: ((await cpu()) - before) / requests,
  }
}

const apis = await startApiProcesses(CLUSTERS, 2)
const kinds = {
  [`DescribeClusters, ${PAGE} a page`]: await Promise.all(apis.map(describing)),
  CreateCluster: apis.map(creating),
}
// With all the processors there are: code that has not run yet costs many times as much.
for (const offers of Object.values(kinds)) await together(offers, WARM_UP_SECONDS)
const shares = await Promise.all(apis.map(({ pid }) => limitCpu(pid, SHARE)))
const limit = shares.every((share) => share !== undefined) ? shares[0]?.by : undefined
try {
  const rows: Row[] = []
  for (const [name, offers] of Object.entries(kinds)) {
    const rounds: { one: Measured; two: Measured }[] = []
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({ one: await together(offers.slice(0, 1)), two: await together(offers) })
    }
    const { one, two } = medianBy(rounds, (round) => round.two.perSecond / round.one.perSecond)
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
