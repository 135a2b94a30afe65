/**
 * From the command to the first request that is answered: as a newcomer starts it, right after `npm ci` and with `npm`
 * itself in the figure; and of `strongroom up` alone, on no data at all and on data that are there. And memory.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, ROOT, startProduct, untilTrue, type Product } from '../test/support/product.ts'
import { addHsm, createCluster } from '../test/support/life-of-a-cluster.ts'
import { PREPARED } from '../infra/postgres/prepared.ts'
import { median, report } from './support/report.ts'

const ROUNDS = 3

/** Seconds until it is ready. Looks every 50 ms, which is in the figure. */
async function timedStart(data: string): Promise<{ product: Product; seconds: number }> {
  const began = performance.now()
  const product = await startProduct({ data })
  return { product, seconds: (performance.now() - began) / 1000 }
}

/** Seconds until `npm start`, with the regions it has by default, is ready; then it is ended. */
async function timedNpmStart(data: string, compileCache: string): Promise<number> {
  const port = await freePort()
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache }
  const began = performance.now()
  const npm = spawn('npm', ['start', '--silent', '--', '--data', data, '--port', String(port)], {
    cwd: ROOT,
    env,
    stdio: 'ignore',
  })
  const ended = once(npm, 'exit')
  const ready = async () =>
    (await fetch(`http://127.0.0.1:${port}/_strongroom/ready`).catch(() => undefined))?.ok === true
  await untilTrue(ready, { seconds: 60, what: () => 'strongroom is not ready' })
  const seconds = (performance.now() - began) / 1000
  await promisify(execFile)(join(ROOT, 'bin/strongroom'), ['down', '--data', data], { env })
  await ended
  return seconds
}

/** What npm runs at the end of an installation. */
async function install(compileCache: string): Promise<void> {
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache }
  await promisify(execFile)(join(ROOT, 'bin/.exec'), ['infra/installed.ts'], { env })
}

/** As if the installation had prepared no data area for PostgreSQL. */
async function withoutPrepared<T>(work: () => Promise<T>): Promise<T> {
  const aside = `${PREPARED}.aside-${process.pid}`
  await rename(PREPARED, aside)
  try {
    return await work()
  } finally {
    await rename(aside, PREPARED)
  }
}

interface Process {
  readonly pid: number
  readonly parent: number
  /** Resident MiB. */
  readonly memory: number
  readonly title: string
}

async function processes(): Promise<Process[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid=,rss=,args='])
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, kib, title] = /^\s*(\d+)\s+(\d+)\s+(\d+) (.*)$/.exec(line) ?? []
    if (title === undefined) return []
    return [{ pid: Number(pid), parent: Number(parent), memory: Number(kib) / 1024, title: title.trim() }]
  })
}

/** Of this installation's processes only: there may be others on the machine. */
async function memoryOf(launcher: number | undefined, hsmId: string | undefined) {
  const all = await processes()
  const among = (found: (each: Process) => boolean) => all.filter(found).map((each) => each.memory)
  return {
    region: among((each) => each.parent === launcher && each.title.startsWith('strongroom-region')),
    hsm: among((each) => each.title === `strongroom-hsm ${String(hsmId)}`),
    launcher: among((each) => each.pid === launcher),
  }
}

// All directories are removed at the end: where thousands of files were just removed, ext4 takes a millisecond for each
// that is made in the minutes after (it does not use what their inodes were), and a start makes a thousand and a half.
const dirs: string[] = []
const newDirectory = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'strongroom-bench-'))
  dirs.push(dir)
  return dir
}

const newcomer = { first: [] as number[], again: [] as number[], unprepared: [] as number[] }
for (let round = 0; round < ROUNDS; round += 1) {
  const dir = await newDirectory()
  await install(join(dir, 'compiled'))
  newcomer.first.push(await timedNpmStart(join(dir, 'data'), join(dir, 'compiled')))
  newcomer.again.push(await timedNpmStart(join(dir, 'data'), join(dir, 'compiled')))
  const unprepared = () => timedNpmStart(join(dir, 'other-data'), join(dir, 'nothing-compiled'))
  newcomer.unprepared.push(await withoutPrepared(unprepared))
}

const times = { first: [] as number[], again: [] as number[] }
let memory: Awaited<ReturnType<typeof memoryOf>> | undefined
for (let round = 0; round < ROUNDS; round += 1) {
  const data = await newDirectory()
  const first = await timedStart(data)
  times.first.push(first.seconds)
  await first.product.stop()
  const again = await timedStart(data)
  times.again.push(again.seconds)
  if (round === ROUNDS - 1) {
    const aws = again.product.aws()
    const { ClusterId = '' } = await createCluster(aws)
    const { Hsms } = await addHsm(aws, ClusterId)
    memory = await memoryOf(again.product.process.pid, Hsms?.[0]?.HsmId)
  }
  await again.product.stop()
}
for (const dir of dirs) await rm(dir, { recursive: true, force: true })

report('Start and memory, one region', [
  { what: '`npm start` right after `npm ci`, to ready', ours: median(newcomer.first), unit: 's', bar: '< 3 s' },
  { what: '`npm start` again', ours: median(newcomer.again), unit: 's', bar: '< 1.5 s' },
  { what: '`npm start` after `npm ci --ignore-scripts`', ours: median(newcomer.unprepared), unit: 's' },
  { what: 'first start to ready', ours: median(times.first), unit: 's', bar: '< 3 s' },
  { what: 'start again to ready', ours: median(times.again), unit: 's', bar: '< 1.5 s' },
  { what: 'memory of API and jobs', ours: median(memory?.region ?? []), unit: 'MiB', bar: '≤ 200 MiB' },
  { what: 'memory of an HSM, idle', ours: median(memory?.hsm ?? []), unit: 'MiB', bar: '≤ 90 MiB' },
  { what: 'memory of the launcher', ours: median(memory?.launcher ?? []), unit: 'MiB' },
])
