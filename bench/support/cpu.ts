/** CPU time of processes, from Linux's /proc; elsewhere it is not known. */
import { readdir, readFile } from 'node:fs/promises'

/** Milliseconds of a process and its children that live; 0 of one that is gone. NaN where there is no /proc. */
export async function cpuMsOfFamily(parent: number): Promise<number> {
  const names = await readdir('/proc').catch(() => undefined)
  if (!names) return Number.NaN
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number)
  const times = await Promise.all(
    pids.map(async (pid) => (pid === parent || (await parentOf(pid)) === parent ? await cpuMsOf(pid) : 0)),
  )
  return times.reduce((sum, each) => sum + each, 0)
}

/** NaN where it cannot be told. */
export async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name in parentheses may hold anything.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? Number.NaN)
}

/** All of its threads together, to the nanosecond. */
async function cpuMsOf(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  const times = await Promise.all(
    threads.map(async (thread) => {
      const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0')
      return Number(text.split(' ')[0]) / 1e6
    }),
  )
  return times.reduce((sum, each) => sum + each, 0)
}
