/** From `strongroom up` to the first request that is answered: on no data at all, and on data that are there; and memory. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startProduct, type Product } from '../test/support/product.ts'
import { addHsm, createCluster } from '../test/support/life-of-a-cluster.ts'
import { median, report } from './support/report.ts'

const ROUNDS = 3

/** Seconds until it is ready. Looks every 50 ms, which is in the figure. */
async function timedStart(data: string): Promise<{ product: Product; seconds: number }> {
  const began = performance.now()
  const product = await startProduct({ data })
  return { product, seconds: (performance.now() - began) / 1000 }
}

/** Resident MiB of every process whose title begins so. */
async function memoryOf(title: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'rss=,args='])
  return stdout
    .split('\n')
    .map((line) => /^\s*(\d+) (.*)$/.exec(line))
    .flatMap((match) => (match?.[2]?.startsWith(title) ? [Number(match[1]) / 1024] : []))
}

async function memoryOfProcess(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
  return Number(stdout) / 1024
}

const times = { first: [] as number[], again: [] as number[] }
const memory = { region: [] as number[], hsm: [] as number[], launcher: [] as number[] }
for (let round = 0; round < ROUNDS; round += 1) {
  const data = await mkdtemp(join(tmpdir(), 'strongroom-bench-'))
  try {
    const first = await timedStart(data)
    times.first.push(first.seconds)
    await first.product.stop()
    const again = await timedStart(data)
    times.again.push(again.seconds)
    if (round === ROUNDS - 1) {
      const aws = again.product.aws()
      const { ClusterId = '' } = await createCluster(aws)
      await addHsm(aws, ClusterId)
      memory.region.push(...(await memoryOf('strongroom-region')))
      memory.hsm.push(...(await memoryOf('strongroom-hsm')))
      memory.launcher.push(await memoryOfProcess(again.product.process.pid ?? 0))
    }
    await again.product.dispose()
  } finally {
    await rm(data, { recursive: true, force: true })
  }
}

report('Start and memory, one region', [
  { what: 'first start to ready, initdb included', ours: median(times.first), unit: 's', bar: '< 3 s' },
  { what: 'start again to ready', ours: median(times.again), unit: 's', bar: '< 1.5 s' },
  { what: 'memory of API and jobs', ours: median(memory.region), unit: 'MiB', bar: '≤ 200 MiB' },
  { what: 'memory of an HSM, idle', ours: median(memory.hsm), unit: 'MiB', bar: '≤ 90 MiB' },
  { what: 'memory of the launcher', ours: median(memory.launcher), unit: 'MiB' },
])
