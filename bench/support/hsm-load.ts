/**
 * Load for one HSM from outside: bytes made before, replies counted and not looked at, so that the client's own work hardly
 * counts. The HSM is pinned to a core where `taskset` exists, the load to another.
 */
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { connect, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { HSM_HEAP_FLAG } from '../../infra/hosts/hsm-process.ts'
import type { ClientOperations } from '../../workers/hsm/protocol/client-operations.ts'
import type { Connection } from '../../workers/hsm/protocol/connection.ts'
import { encodeFrame } from '../../workers/hsm/protocol/frame.ts'
import type { TestCluster } from '../../workers/hsm/testing/process.ts'

export const CONNECTIONS = 4
/** Requests under way on each connection. */
export const PIPELINED = 32
export const PASSWORD = 'bench-secret-1'
const CORE = 0

const pinned = cpus().length > 1 && hasTaskset()
/** Command that puts a program on a core. */
const onCore = (core: number): readonly string[] => (pinned ? ['taskset', '-c', String(core)] : [])
/** The same for the HSM's core. */
export const onHsmCore = onCore(CORE)
/** For an HSM: with the heap that a host gives it. */
export const asHsmOn = (core: number): readonly string[] => [...onCore(core), 'env', `NODE_OPTIONS=${HSM_HEAP_FLAG}`]
export const asHsm = asHsmOn(CORE)

/** Keeps this process off the HSM's core. */
export function leaveHsmCore(): void {
  if (pinned) execFileSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)], { stdio: 'ignore' })
}

export const whereItRuns = pinned ? `HSM and peer on core ${CORE}, the load on core 1.` : 'Nothing is pinned to a core.'

/** Activates the cluster, makes the crypto user `bench`, and gives a connection that is logged in as it. */
export async function benchUser({ first, customer }: TestCluster): Promise<Connection<ClientOperations>> {
  const client = await first.client(customer.certificate)
  await client.call('activate', { password: PASSWORD })
  await client.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
  await client.call('user-create', { username: 'bench', role: 'crypto-user', password: PASSWORD })
  await client.call('logout', {})
  await client.call('login', { username: 'bench', role: 'crypto-user', password: PASSWORD })
  return client
}

export interface Rate {
  readonly perSecond: number
  /** Per second of the HSM's processor time, which hardly depends on what else the machine does. */
  readonly perCpuSecond: number
}

/** The same request over and over, on all connections, for some seconds. */
export async function rateOf(target: TestCluster, op: string, params: object, seconds: number): Promise<Rate> {
  const request = encodeFrame({ id: 1, op, params })
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
  await pause(seconds * 1000)
  const done = answered - before.answered
  const elapsed = (performance.now() - before.at) / 1000
  const cpu = (await cpuSeconds(target.first.pid)) - before.cpu
  for (const socket of sockets) socket.destroy()
  return { perSecond: done / elapsed, perCpuSecond: done / cpu }
}

/** Milliseconds of each of some requests, one after another on one connection. */
export async function latenciesOf(count: number, ask: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i += 1) {
    const began = performance.now()
    await ask()
    times.push(performance.now() - began)
  }
  return times
}

/** Figures per second of `openssl speed` on the HSM's core, from its machine-readable output; `pattern` finds the figure. */
export async function opensslSpeed(args: readonly string[], pattern: RegExp, seconds: number): Promise<number> {
  const speed = ['speed', '-elapsed', '-mr', '-seconds', String(seconds), ...args]
  const [program = '', ...rest] = [...onHsmCore, 'openssl', ...speed]
  const { stdout } = await promisify(execFile)(program, rest)
  const found = pattern.exec(stdout)?.[1]
  if (found === undefined) throw new Error(`openssl speed printed nothing for ${args.join(' ')}`)
  return Number(found)
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
      if (frames === 0 && rest.subarray(at, Math.min(end, at + 64)).includes('error')) {
        throw new Error(rest.subarray(at, end).toString('latin1'))
      }
      at = end
      frames += 1
    }
    rest = rest.subarray(at)
    if (frames > 0) onFrames(frames)
  })
}

function hasTaskset(): boolean {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
