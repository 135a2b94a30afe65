/** A server that is still there although nobody looks after it. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isPostmaster, readLockFile } from './lock-file.ts'

const LOOK_MS = 50
/** Fast, immediate, at once (PostgreSQL manual, §18.5), and how long each may take. */
const WAYS = [
  ['SIGINT', 10_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
] as const

/** The process that serves an embedded server's directory, if one does. */
export async function postgresProcess(dir: string): Promise<{ pid: number; port: number } | undefined> {
  const data = join(dir, 'data')
  const lock = await readLockFile(data)
  return lock && (await isPostmaster(lock.pid, data)) ? { pid: lock.pid, port: lock.port } : undefined
}

/** Ends it and waits until it is gone. False when there is none. */
export async function stopLeftover(dir: string): Promise<boolean> {
  const data = join(dir, 'data')
  const found = await postgresProcess(dir)
  if (!found) return false
  for (const [signal, ms] of WAYS) {
    process.kill(found.pid, signal)
    for (let waited = 0; waited < ms; waited += LOOK_MS) {
      if (!(await isPostmaster(found.pid, data))) return true
      await sleep(LOOK_MS)
    }
  }
  throw new Error(`PostgreSQL (process ${found.pid}) does not end`)
}
