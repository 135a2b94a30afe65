/**
 * Signatures over TLS by one HSM process on one core, against `openssl speed` on the same core in the same run.
 *
 * Both count against the clock on the wall. Beside it stands what the HSM does in a second of its processor time, which
 * hardly depends on what else the machine does.
 *
 * The HSM is pinned to a core where `taskset` exists; the client that loads it runs on another. Rounds of both are
 * interleaved, so that what else the machine does falls on both alike.
 */
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { connect, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { encodeFrame } from '../workers/hsm/protocol/frame.ts'
import type { SignMechanism } from '../workers/hsm/protocol/mechanisms.ts'
import { startCluster, type TestCluster } from '../workers/hsm/testing/process.ts'
import { median, report } from './support/report.ts'

const ROUNDS = 5
const SECONDS = 2
const CONNECTIONS = 4
/** Requests under way on each connection. */
const PIPELINED = 32
const CORE = '0'
const PASSWORD = 'bench-secret-1'

const pinned = cpus().length > 1 && hasTaskset()
const prefix = pinned ? ['taskset', '-c', CORE] : []
// This process loads the HSM: it stays off its core.
if (pinned) execFileSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)], { stdio: 'ignore' })

const cluster = await startCluster({ prefix })
try {
  const handles = await makeKeys(cluster)
  const data = Buffer.from('pay 100 EUR')
  const jobs = [
    {
      what: 'RSA-2048 sign (rsa-pkcs, sha256)',
      name: 'rsa2048',
      bar: '≥ 0.95',
      handle: handles.rsa,
      mechanism: 'rsa-pkcs',
    },
    { what: 'ECDSA P-256 sign (sha256)', name: 'ecdsap256', bar: '≥ 0.6', handle: handles.ec, mechanism: 'ecdsa' },
  ] as const
  const rates = new Map<string, { ours: number[]; perCpuSecond: number[]; openssl: number[] }>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { name, handle, mechanism } of jobs) {
      const measured = rates.get(name) ?? { ours: [], perCpuSecond: [], openssl: [] }
      rates.set(name, measured)
      measured.openssl.push(await opensslSpeed(name))
      const load = { handle, mechanism: { name: mechanism, hash: 'sha256' }, data } as const
      const { perSecond, perCpuSecond } = await signatures(cluster, load)
      measured.ours.push(perSecond)
      measured.perCpuSecond.push(perCpuSecond)
    }
  }
  const version = execFileSync('openssl', ['version'], { encoding: 'utf8' }).split(' ').slice(0, 2).join(' ')
  console.log(`The HSM signs with OpenSSL ${process.versions.openssl} (in Node); the peer is the program ${version}.`)
  console.log(pinned ? `HSM and peer on core ${CORE}, the load on core 1.` : 'Nothing is pinned to a core.')
  report(
    `HSM signatures over TLS, ${CONNECTIONS} connections of ${PIPELINED} pipelined requests`,
    jobs.flatMap(({ what, name, bar }) => {
      const measured = rates.get(name)
      const peer = { name: `openssl speed -elapsed ${name}`, value: median(measured?.openssl ?? []) }
      return [
        { what, ours: median(measured?.ours ?? []), unit: '/s', peer, bar },
        { what: `${what}, of CPU time`, ours: median(measured?.perCpuSecond ?? []), unit: '/CPU s', peer },
      ]
    }),
  )
} finally {
  await cluster.first.dispose()
}

/** Activates the cluster; makes a user with one key of each kind. */
async function makeKeys({ first, customer }: TestCluster): Promise<{ rsa: string; ec: string }> {
  const client = await first.client(customer.certificate)
  await client.call('activate', { password: PASSWORD })
  await client.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
  await client.call('user-create', { username: 'bench', role: 'crypto-user', password: PASSWORD })
  await client.call('logout', {})
  await client.call('login', { username: 'bench', role: 'crypto-user', password: PASSWORD })
  const common = { publicAttributes: {}, privateAttributes: { sign: true }, requireTwoCopies: false }
  const rsa = await client.call('key-generate-rsa', { modulusBits: 2048, publicExponent: 65537, ...common })
  const ec = await client.call('key-generate-ec', { curve: 'prime256v1', ...common })
  await client.close()
  return { rsa: rsa.privateKey.handle, ec: ec.privateKey.handle }
}

interface Signing {
  readonly handle: string
  readonly mechanism: SignMechanism
  readonly data: Buffer
}

/** Loads the HSM from bytes made before, and counts the frames that come back: the client's own work hardly counts. */
async function signatures(target: TestCluster, params: Signing): Promise<{ perSecond: number; perCpuSecond: number }> {
  const request = encodeFrame({ id: 1, op: 'sign', params: { ...params, requireTwoCopies: false } })
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => loggedIn(target)))
  let answered = 0
  for (const socket of sockets) {
    countFrames(socket, (frames) => {
      answered += frames
      socket.write(Buffer.concat(Array.from({ length: frames }, () => request)))
    })
    socket.write(Buffer.concat(Array.from({ length: PIPELINED }, () => request)))
  }
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  await pause(300)
  const before = { answered, cpu: await cpuSeconds(target.first.pid), at: performance.now() }
  await pause(SECONDS * 1000)
  const done = answered - before.answered
  const elapsed = (performance.now() - before.at) / 1000
  const cpu = (await cpuSeconds(target.first.pid)) - before.cpu
  for (const socket of sockets) socket.destroy()
  return { perSecond: done / elapsed, perCpuSecond: done / cpu }
}

/** Processor time of a process by /proc; NaN where there is none. Linux counts in hundredths of a second. */
async function cpuSeconds(pid: number): Promise<number> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return Number.NaN
  }
}

async function loggedIn({ first, customer }: TestCluster): Promise<TLSSocket> {
  const { address: host, ports } = first.config
  const ca = customer.certificate
  const socket = connect({ host, port: ports.client, ca, checkServerIdentity: () => undefined })
  await once(socket, 'secureConnect')
  const ask = async (op: string, params: unknown) => {
    socket.write(encodeFrame({ id: 0, op, params }))
    const [reply] = (await once(socket, 'data')) as [Buffer]
    if (reply.includes('error')) throw new Error(`${op}: ${reply.toString('latin1')}`)
  }
  await ask('hello', { client: 'bench', protocol: 1 })
  await ask('login', { username: 'bench', role: 'crypto-user', password: PASSWORD })
  return socket
}

/** Tells how many frames each chunk completes. Throws at the first error reply. */
function countFrames(socket: TLSSocket, onFrames: (frames: number) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    let frames = 0
    while (rest.length - at >= 4 && rest.length - at >= 4 + rest.readUInt32BE(at)) {
      const end = at + 4 + rest.readUInt32BE(at)
      if (frames === 0 && rest.subarray(at, end).includes('error')) {
        throw new Error(rest.subarray(at, end).toString('latin1'))
      }
      at = end
      frames += 1
    }
    rest = rest.subarray(at)
    if (frames > 0) onFrames(frames)
  })
}

/** Signatures per second of `openssl speed`, from its machine-readable output. */
async function opensslSpeed(name: string): Promise<number> {
  const [program, ...args] = [...prefix, 'openssl', 'speed', '-elapsed', '-mr', '-seconds', String(SECONDS), name]
  const { stdout } = await promisify(execFile)(program, args)
  const line = /^\+F[24]:\d+:\d+:([\d.e-]+):/m.exec(stdout)
  if (!line) throw new Error(`openssl speed printed nothing for ${name}`)
  // OpenSSL 3 prints signatures per second, older versions seconds per signature.
  const figure = Number(line[1])
  return figure < 1 ? 1 / figure : figure
}

function hasTaskset(): boolean {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
