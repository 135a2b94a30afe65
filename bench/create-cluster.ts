/**
 * CreateCluster: row, job and event of the trail in one transaction that is on the disk when it is answered, against moto
 * server, which keeps it in memory. And what a call costs with 10 and with 10,000 clusters stored, of other accounts: it
 * must not matter.
 *
 * Client, API and Postgres share the machine, moto has it with the client alone; each is offered its load by as many
 * connections as suits it. The jobs are queued and somebody listens for them; what the job workers, other processes, do with
 * them afterwards is not part of it.
 */
import { startApiProcess } from './support/api.ts'
import { load, type Load } from './support/http-load.ts'
import { measured, type Measured } from './support/measured.ts'
import { startMoto } from './support/moto.ts'
import { report } from './support/report.ts'
import { pageRequests, post, requestBytes } from './support/requests.ts'

const CONNECTIONS = 8
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
const FEW = 10
const MANY = 10_000
/** A region of many customers: each has a few dozen clusters in the end. */
const ACCOUNTS = 200
/** moto 5.2.1 on the machine this was written on. */
const MOTO_STORED = 387
/** A subnet belongs to one account. */
const inputOf = (account: number) => ({
  HsmType: 'hsm2m.medium',
  SubnetIds: [`subnet-${(0xb0000000 + account).toString(16)}`],
})

const creating = (port: number, accounts: number) =>
  Array.from({ length: accounts }, (_, n) => requestBytes(port, 'CreateCluster', inputOf(n), `test-${n}`))

/** Within one account creations go one after another, since its quota is counted. */
async function creations(stored: number, accounts: number): Promise<Measured> {
  const api = await startApiProcess(stored)
  try {
    const requests = creating(api.port, accounts)
    await load({ port: api.port, requests, connections: CONNECTIONS, seconds: 2 })
    return await measured(api, { requests, connections: CONNECTIONS, seconds: SECONDS })
  } finally {
    await api.stop()
  }
}

/** The same page of 10 whatever is stored: of different pages each would be asked for less often. */
async function reads(stored: number): Promise<Measured> {
  const api = await startApiProcess(stored)
  try {
    const requests = await pageRequests(api.port, { page: 10, most: 1 })
    await load({ port: api.port, requests, connections: CONNECTIONS, seconds: 2 })
    return await measured(api, { requests, connections: CONNECTIONS, seconds: SECONDS })
  } finally {
    await api.stop()
  }
}

/** Its best: its threads share one processor, and may be faster with fewer connections. */
async function moto(): Promise<Load | undefined> {
  const server = await startMoto()
  if (!server) return undefined
  try {
    const { port } = server
    for (let i = 0; i < FEW; i++) await post(port, 'CreateCluster', inputOf(0))
    const requests = creating(port, 1)
    const by = async (connections: number) => load({ port, requests, connections, seconds: SECONDS })
    const [one, all] = [await by(1), await by(CONNECTIONS)]
    return one.perSecond > all.perSecond ? one : all
  } finally {
    server.stop()
  }
}

const few = await creations(FEW, ACCOUNTS)
const theirs = await moto()
const one = await creations(FEW, 1)
const many = await creations(MANY, ACCOUNTS)
const [readFew, readMany] = [await reads(FEW), await reads(MANY)]
const peer = theirs
  ? { name: 'moto', value: theirs.perSecond }
  : { name: 'moto (measured earlier)', value: MOTO_STORED }
const ten = (value: number) => ({ name: '10 stored', value })
const cost = (what: string, ours: number, before: number) => ({
  what,
  ours,
  unit: 'ms',
  peer: ten(before),
  bar: 'flat',
})
report(`CreateCluster, on the disk, SigV4 verified, ${CONNECTIONS} connections`, [
  { what: `${ACCOUNTS} accounts`, ours: few.perSecond, unit: '/s', peer, bar: '≥ 2 × moto' },
  { what: 'one account', ours: one.perSecond, unit: '/s', peer },
  { what: 'p99', ours: few.p99, unit: 'ms', ...(theirs && { peer: { name: 'moto', value: theirs.p99 } }) },
  { what: 'CPU of the client', ours: few.cpuMs.client, unit: 'ms' },
  cost('CPU of the API, 10,000 stored', many.cpuMs.api, few.cpuMs.api),
  cost('CPU of Postgres, 10,000 stored', many.cpuMs.postgres, few.cpuMs.postgres),
  { what: 'rate, 10,000 stored', ours: many.perSecond, unit: '/s', peer: ten(few.perSecond), bar: 'flat' },
  cost('DescribeClusters, 10 a page: CPU of the API, 10,000 stored', readMany.cpuMs.api, readFew.cpuMs.api),
  cost('DescribeClusters: CPU of Postgres', readMany.cpuMs.postgres, readFew.cpuMs.postgres),
])
