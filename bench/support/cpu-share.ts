/** Holds a process to a share of a core, so that a small machine can show what more processes would do on a larger one. */
import { access, mkdir, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface CpuShare {
  /** What limits it, e.g. `cgroup v1`. */
  readonly by: string
  /** Call it when the process is gone. */
  remove(): Promise<void>
}

/** Long enough that what it has in the processor's caches is of use, short enough that connections do not run dry. */
const PERIOD_US = 50_000

const VERSIONS = [
  {
    by: 'cgroup v1',
    root: '/sys/fs/cgroup/cpu',
    limits: (quota: number) => [
      ['cpu.cfs_period_us', String(PERIOD_US)],
      ['cpu.cfs_quota_us', String(quota)],
    ],
  },
  { by: 'cgroup v2', root: '/sys/fs/cgroup', limits: (quota: number) => [['cpu.max', `${quota} ${PERIOD_US}`]] },
] as const

/** `share` of one core, e.g. 0.25. Undefined where this process may not limit others. */
export async function limitCpu(pid: number, share: number): Promise<CpuShare | undefined> {
  for (const { by, root, limits } of VERSIONS) {
    const group = join(root, `strongroom-bench-${pid}`)
    const remove = () => rmdir(group)
    try {
      await access(join(root, by === 'cgroup v1' ? 'cpu.cfs_quota_us' : 'cgroup.controllers'))
      await mkdir(group)
    } catch {
      continue
    }
    try {
      for (const [file = '', value = ''] of limits(Math.round(PERIOD_US * share)))
        await writeFile(join(group, file), value)
      await writeFile(join(group, 'cgroup.procs'), String(pid))
      return { by, remove }
    } catch {
      await remove()
    }
  }
  return undefined
}
