/** Who a process id is: numbers are used again, so nothing is signalled that was not recognised first. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { z } from 'zod'

/** A process as it is written down. */
export const processRecord = z.object({ pid: z.int().positive(), identity: z.string() })
export type ProcessRecord = z.infer<typeof processRecord>

/** Whether it is the process that was written down, and not a later one with its number. */
export const isSame = async ({ pid, identity }: ProcessRecord) => (await identityOf(pid)) === identity

/** Whether a process of this id exists; one of another user counts. A dead one that was not waited for does not. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false
  }
  return (await stateOf(pid)) !== 'Z'
}

/** The words a process was started with; undefined when there is no such process, or it must not be looked at. */
export async function commandLine(pid: number): Promise<string[] | undefined> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return text === '' ? undefined : text.replace(/\0$/, '').split('\0')
  }
  const line = await ps(pid, 'command')
  return line?.split(' ')
}

/**
 * What tells this process from a later one with the same id: on Linux the boot and the clock tick it started at
 * (proc(5), stat field 22), elsewhere its start time. Undefined when there is no such process.
 */
export async function identityOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return ps(pid, 'lstart')
  const fields = await statFields(pid)
  // Ended, and not waited for yet.
  if (fields?.[0] === 'Z') return undefined
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  return fields && `${boot.trim()}:${fields[19] ?? ''}`
}

/** Resident memory in bytes; undefined when there is no such process. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(text)?.[1]
    return kib === undefined ? undefined : Number(kib) * 1024
  }
  const kib = await ps(pid, 'rss')
  return kib === undefined ? undefined : Number(kib) * 1024
}

async function stateOf(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? (await statFields(pid))?.[0] : (await ps(pid, 'state'))?.slice(0, 1)
}

/** The fields behind the name (which may hold spaces and brackets): the first of them is the state, field 3. */
async function statFields(pid: number): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

async function ps(pid: number, column: string): Promise<string | undefined> {
  const result = await promisify(execFile)('ps', ['-o', `${column}=`, '-p', String(pid)]).catch(() => undefined)
  const text = result?.stdout.trim()
  return text === '' ? undefined : text
}
