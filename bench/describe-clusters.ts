/**
 * DescribeClusters: 1,000 clusters of two HSMs stored, pages of 25, SigV4 verified, one API process over Postgres, eight
 * connections. Peer: moto server (Python), asked the same in the same run; where it is not installed, a figure that was
 * measured earlier and is marked so.
 *
 * Requests are signed before the clock starts (a signature is good for five minutes, and verified every time), so the
 * load comes almost for free and the API gets a core for itself on a machine with two.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { AddressInfo } from 'node:net'
import { signed } from '../api/testing/signer.ts'
import { freshDatabase } from '../test/support/database.ts'
import { load, type Load } from './support/http-load.ts'
import { report } from './support/report.ts'
import { storeClusters } from './support/stored-clusters.ts'

const CLUSTERS = 1_000
const PAGE = 25
const CONNECTIONS = 8
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
/** moto 5.2.1 on the machine this was written on. */
const MOTO_STORED = 139

const API = fileURLToPath(new URL('./support/api-process.ts', import.meta.url))

interface Measured {
  readonly full: Load
  readonly half?: Load
  readonly cpuMs?: number
}

async function ours(): Promise<Measured> {
  const fresh = await freshDatabase()
  const child = spawn(process.execPath, [API], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  try {
    await storeClusters(fresh.url, CLUSTERS)
    child.send({ databaseUrl: fresh.url })
    const [{ port }] = (await once(child, 'message')) as [{ port: number }]
    const requests = await pages(port, 'BaldrApiService')
    await load({ port, requests, connections: CONNECTIONS, seconds: 2 })
    const before = await cpuOf(child)
    const full = await load({ port, requests, connections: CONNECTIONS, seconds: SECONDS })
    const cpuMs = ((await cpuOf(child)) - before) / full.requests
    const half = await load({ port, requests, connections: CONNECTIONS, seconds: SECONDS, rate: full.perSecond / 2 })
    return { full, half, cpuMs }
  } finally {
    child.kill()
    await fresh.drop()
  }
}

/** Milliseconds of CPU the API process has used. */
async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [{ cpu }] = (await once(child, 'message')) as [{ cpu: number }]
  return cpu
}

async function moto(): Promise<Measured | undefined> {
  const port = await freePort()
  const child = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore', detached: true })
  const failed = once(child, 'error').then(() => undefined)
  try {
    const up = await Promise.race([failed, answers(port)])
    if (!up) return undefined
    for (let i = 0; i < CLUSTERS; i++) {
      await post(port, 'CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0a0a0a0a0a0a0a0a1'] })
    }
    const requests = await pages(port, 'BaldrApiService')
    return { full: await load({ port, requests, connections: CONNECTIONS, seconds: SECONDS }) }
  } finally {
    // pyenv's shim starts the real one: both are in the group that was made for it.
    if (child.pid !== undefined) process.kill(-child.pid)
  }
}

/** One signed request for every page there is. */
async function pages(port: number, prefix: string): Promise<Buffer[]> {
  const requests: Buffer[] = []
  let token: string | undefined
  // moto's last page has a token as well.
  while (requests.length < CLUSTERS / PAGE) {
    const input = { MaxResults: PAGE, ...(token && { NextToken: token }) }
    requests.push(requestBytes(port, `${prefix}.DescribeClusters`, JSON.stringify(input)))
    const page = await post(port, 'DescribeClusters', input)
    if (page.Clusters?.length !== PAGE) throw new Error(`a page has ${String(page.Clusters?.length)} clusters`)
    token = page.NextToken
    if (token === undefined) break
  }
  return requests
}

interface Page {
  readonly Clusters?: readonly unknown[]
  readonly NextToken?: string
}

function headersFor(port: number, target: string, body: string): Record<string, string> {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target }
  return signed({ host: `127.0.0.1:${port}`, headers, body })
}

function requestBytes(port: number, target: string, body: string): Buffer {
  const lines = Object.entries(headersFor(port, target, body)).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`POST / HTTP/1.1\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

async function post(port: number, operation: string, input: object): Promise<Page> {
  const body = JSON.stringify(input)
  const headers = headersFor(port, `BaldrApiService.${operation}`, body)
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })
  if (!response.ok) throw new Error(`${operation}: ${await response.text()}`)
  return (await response.json()) as Page
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function answers(port: number): Promise<boolean> {
  for (let i = 0; i < 150; i++) {
    if (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)) return true
    await sleep(100)
  }
  return false
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
