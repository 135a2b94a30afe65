/** API processes over a database of their own, with clusters stored in it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freshDatabase } from '../../test/support/database.ts'
import { storeClusters } from './stored-clusters.ts'

const PROCESS = fileURLToPath(new URL('./api-process.ts', import.meta.url))

export interface ApiProcess {
  readonly port: number
  /** All that the process has used. */
  cpuMs(): Promise<number>
  stop(): Promise<void>
}

/** One process over a fresh database with so many clusters. */
export async function startApiProcess(clusters: number): Promise<ApiProcess> {
  const [api] = await startApiProcesses(clusters, 1)
  if (!api) throw new Error('there is no process')
  return api
}

/** Several over the same database; the last to stop removes it. */
export async function startApiProcesses(clusters: number, count: number): Promise<ApiProcess[]> {
  const fresh = await freshDatabase()
  if (clusters > 0) await storeClusters(fresh.url, clusters)
  let running = count
  return Promise.all(
    Array.from({ length: count }, async () => {
      const child = spawn(process.execPath, [PROCESS], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      child.send({ databaseUrl: fresh.url })
      const [{ port }] = (await once(child, 'message')) as [{ port: number }]
      return {
        port,
        cpuMs: () => cpuOf(child),
        stop: async () => {
          const ended = once(child, 'exit')
          child.kill()
          await ended
          if (--running === 0) await fresh.drop()
        },
      }
    }),
  )
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [{ cpu }] = (await once(child, 'message')) as [{ cpu: number }]
  return cpu
}
