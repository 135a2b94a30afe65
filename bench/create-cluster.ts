/**
 * CreateCluster: row, job and event of the trail in one committed transaction, eight connections, against moto server, which
 * keeps it in memory. And what a call costs with 10 and with 10,000 clusters stored, of other accounts: it must not matter.
 */
import { startApiProcess } from './support/api.ts'
import { load, type Load } from './support/http-load.ts'
import { startMoto } from './support/moto.ts'
import { report } from './support/report.ts'
import { pageRequests, requestBytes } from './support/requests.ts'

const CONNECTIONS = 8
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
/** moto 5.2.1 on the machine this was written on. */
const MOTO_STORED = 159
/** A subnet belongs to one account. */
const inputOf = (account: number) => ({
  HsmType: 'hsm2m.medium',
  SubnetIds: [`subnet-${(0xb0000000 + account).toString(16)}`],
})

interface Measured extends Load {
  readonly cpuMs: number
}

/** As many accounts as connections: within one account creations go one after another, since its quota is counted. */
const creating = (port: number, accounts: number) =>
  Array.from({ length: accounts }, (_, n) => requestBytes(port, 'CreateCluster', inputOf(n), `test-${n}`))

async function creations(stored: number, accounts: number): Promise<Measured> {
  const api = await startApiProcess(stored)
  try {
    const requests = creating(api.port, accounts)
    await load({ port: api.port, requests, connections: CONNECTIONS, seconds: 1 })
    const before = await api.cpuMs()
    const measured = await load({ port: api.port, requests, connections: CONNECTIONS, seconds: SECONDS })
    return { ...measured, cpuMs: ((await api.cpuMs()) - before) / measured.requests }
  } finally {
    await api.stop()
  }
}

async function reads(stored: number): Promise<Measured> {
  const api = await startApiProcess(stored)
  try {
    const requests = await pageRequests(api.port, { page: 10, most: 40 })
    await load({ port: api.port, requests, connections: CONNECTIONS, seconds: 1 })
    const before = await api.cpuMs()
    const measured = await load({ port: api.port, requests, connections: CONNECTIONS, seconds: SECONDS })
    return { ...measured, cpuMs: ((await api.cpuMs()) - before) / measured.requests }
  } finally {
    await api.stop()
  }
}

async function moto(): Promise<Load | undefined> {
  const server = await startMoto()
  if (!server) return undefined
  try {
    const { port } = server
    return await load({ port, requests: creating(port, 1), connections: CONNECTIONS, seconds: SECONDS })
  } finally {
    server.stop()
  }
}

const few = await creations(10, CONNECTIONS)
const theirs = await moto()
const one = await creations(10, 1)
const many = await creations(10_000, CONNECTIONS)
const [readFew, readMany] = [await reads(10), await reads(10_000)]
const peer = theirs
  ? { name: 'moto', value: theirs.perSecond }
  : { name: 'moto (measured earlier)', value: MOTO_STORED }
const ten = (value: number) => ({ name: '10 stored', value })
report(`CreateCluster, committed, SigV4 verified, ${CONNECTIONS} connections`, [
  { what: `${CONNECTIONS} accounts`, ours: few.perSecond, unit: '/s', peer, bar: '≥ 2 × moto' },
  { what: 'one account', ours: one.perSecond, unit: '/s', peer },
  { what: 'p99', ours: few.p99, unit: 'ms', ...(theirs && { peer: { name: 'moto', value: theirs.p99 } }) },
  { what: 'CPU of the API, 10,000 stored', ours: many.cpuMs, unit: 'ms', peer: ten(few.cpuMs), bar: 'flat' },
  { what: 'rate, 10,000 stored', ours: many.perSecond, unit: '/s', peer: ten(few.perSecond), bar: 'flat' },
  {
    what: 'DescribeClusters, 10 a page: CPU of the API, 10,000 stored',
    ...{ ours: readMany.cpuMs, unit: 'ms', peer: ten(readFew.cpuMs), bar: 'flat' },
  },
])
