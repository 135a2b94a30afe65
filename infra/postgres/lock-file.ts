/** PostgreSQL's own postmaster.pid: who serves a data directory, on which port, and whether it is ready. */
import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { commandLine, isAlive } from '../processes/identity.ts'

export interface LockFile {
  readonly pid: number
  readonly port: number
  readonly ready: boolean
}

/** Undefined when there is none, or it is not written to the end yet (its lines: PostgreSQL's miscadmin.h). */
export async function readLockFile(data: string): Promise<LockFile | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const [pid, port] = [Number(lines[0]), Number(lines[3])]
  if (!(pid > 0 && port > 0)) return undefined
  return { pid, port, ready: lines[7]?.trim() === 'ready' }
}

/** Whether a process is PostgreSQL serving this data directory, and not one that got the number later. */
export async function isPostmaster(pid: number, data: string): Promise<boolean> {
  if (!(await isAlive(pid))) return false
  const words = (await commandLine(pid)) ?? []
  const place = words[words.indexOf('-D') + 1]
  if (!words[0]?.endsWith('postgres') || place === undefined) return false
  return place === data || place === (await realpath(data).catch(() => data))
}
