/**
 * DescribeClusters by two API processes over one database, against one. On a machine of few cores the load and Postgres
 * take part of what the second process could use: what a request costs each of them stands beside the rate.
 */
import { startApiProcesses, type ApiProcess } from './support/api.ts'
import { load } from './support/http-load.ts'
import { report } from './support/report.ts'
import { pageRequests } from './support/requests.ts'

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
const CONNECTIONS = 8

/** Requests a second of all together, and milliseconds of CPU of the APIs for each. */
async function measured(apis: readonly ApiProcess[]): Promise<{ perSecond: number; cpuMs: number }> {
  const loads = await Promise.all(
    apis.map(async (api) => ({ api, requests: await pageRequests(api.port, { page: 25, most: 40 }) })),
  )
  const run = (seconds: number) =>
    Promise.all(
      loads.map(({ api: { port }, requests }) =>
        load({ port, requests, connections: CONNECTIONS / apis.length, seconds }),
      ),
    )
  await run(2)
  const cpu = async () => (await Promise.all(apis.map((api) => api.cpuMs()))).reduce((sum, each) => sum + each, 0)
  const before = await cpu()
  const results = await run(SECONDS)
  const requests = results.reduce((sum, each) => sum + each.requests, 0)
  return {
    perSecond: results.reduce((sum, each) => sum + each.perSecond, 0),
    cpuMs: ((await cpu()) - before) / requests,
  }
}

const apis = await startApiProcesses(1_000, 2)
try {
  const one = await measured(apis.slice(0, 1))
  const two = await measured(apis)
  report('DescribeClusters, 25 a page: two API processes over one database', [
    { what: 'rate', ours: two.perSecond, unit: '/s', peer: { name: 'one', value: one.perSecond }, bar: '≥ 1.8' },
    { what: 'CPU of an API per request', ours: two.cpuMs, unit: 'ms', peer: { name: 'one', value: one.cpuMs } },
  ])
} finally {
  for (const api of apis) await api.stop()
}
