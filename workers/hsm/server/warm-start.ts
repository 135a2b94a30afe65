/**
 * A small process. What strips types from TypeScript stays in memory, 30 MiB of it, once a file had to be stripped; a
 * process that finds all files in Node's compile cache never loads it. And glibc keeps the 16 MiB of each password check
 * unless it is told to give freed memory back.
 */
import { flushCompileCache, getCompileCacheDir } from 'node:module'

/** Says that a process was replaced already. */
const RESTARTED = 'STRONGROOM_HSM_RESTARTED'

/**
 * glibc: give freed memory at the top of the heap back above this many bytes, always (mallopt(3)). Whoever starts an HSM
 * sets it too.
 */
const TRIM = { MALLOC_TRIM_THRESHOLD_: '131072' } as const

/**
 * Replaces this process by itself, same id, same arguments, when types had to be stripped and Node keeps compiled code:
 * the next image finds it there. At most once, and only after everything is imported. Otherwise returns.
 */
export function restartWarm(): void {
  if (!strippedTypes() || getCompileCacheDir() === undefined) return
  if (process.env[RESTARTED] !== undefined || !process.execve) return
  flushCompileCache()
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve(process.execPath, args, { ...TRIM, ...process.env, [RESTARTED]: '1' })
}

/** Whether Node loaded its type stripper, amaro. */
function strippedTypes(): boolean {
  const loaded: unknown = Reflect.get(process, 'moduleLoadList')
  return Array.isArray(loaded) && loaded.some((name) => typeof name === 'string' && name.includes('amaro'))
}
