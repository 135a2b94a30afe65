/** The processes of a running product, found from outside, to be killed. */
import { execFile } from 'node:child_process'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Product } from './product.ts'

interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

async function everyProcess(): Promise<Process[]> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'pid=,ppid=,args='], { maxBuffer: 16 * 1024 * 1024 })
  return stdout
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, pid, parent, command]) => ({ pid: Number(pid), parent: Number(parent), command: command ?? '' }))
}

/** Processes that the product's launcher started, directly or through others. */
export async function descendants(product: Product): Promise<Process[]> {
  const all = await everyProcess()
  const found = new Set([product.process.pid ?? 0])
  for (let before = 0; before !== found.size;) {
    before = found.size
    for (const each of all) if (found.has(each.parent)) found.add(each.pid)
  }
  return all.filter((each) => found.has(each.pid) && each.pid !== product.process.pid)
}

/** The process that runs a region. */
export async function regionPid(product: Product): Promise<number> {
  const region = (await descendants(product)).find(({ command }) => /^strongroom-region|infra\/region\//.test(command))
  if (!region) throw new Error('no region process')
  return region.pid
}

/** The embedded PostgreSQL server. */
export async function postgresPid(product: Product): Promise<number> {
  for await (const file of glob(join(product.data, '**/postmaster.pid'))) {
    return Number((await readFile(file, 'utf8')).split('\n')[0])
  }
  throw new Error('no postmaster.pid')
}

/** HSM id → pid of its process, of those that run. */
export async function hsmPids(product: Product): Promise<Map<string, number>> {
  const pids = new Map<string, number>()
  for await (const file of glob(join(product.data, '**/hsm-*/running.json'))) {
    const running: unknown = JSON.parse(await readFile(file, 'utf8'))
    const id = /(hsm-[a-z2-7]+)/.exec(file)?.[1]
    if (id !== undefined && typeof running === 'object' && running !== null && 'pid' in running) {
      pids.set(id, Number(running.pid))
    }
  }
  return pids
}
