/** API processes over a database of their own, on a PostgreSQL that is as it is in production, with clusters stored in it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { freshDatabase, keepPostgres, TEST_POSTGRES } from '../../test/support/database.ts'
import { cpuMsOfFamily, parentOf } from './cpu.ts'
import { storeClusters } from './stored-clusters.ts'

const PROCESS = fileURLToPath(new URL('./api-process.ts', import.meta.url))

export interface ApiProcess {
  readonly port: number
  readonly pid: number
  /** All that the process has used. */
  cpuMs(): Promise<number>
  /** All that PostgreSQL has used, for whomever; NaN where that cannot be told. */
  postgresCpuMs(): Promise<number>
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
  // Acknowledged means on the disk, as for whoever runs it.
  process.env[TEST_POSTGRES] ??= await keepPostgres({ durable: true })
  const fresh = await freshDatabase()
  if (clusters > 0) await storeClusters(fresh.url, clusters)
  const listener = await jobListener(fresh.url)
  const postmaster = await postmasterOf(listener)
  let running = count
  return Promise.all(
    Array.from({ length: count }, async () => {
      const child = spawn(process.execPath, [PROCESS], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      child.send({ databaseUrl: fresh.url })
      const [{ port }] = (await once(child, 'message')) as [{ port: number }]
      return {
        port,
        pid: child.pid ?? Number.NaN,
        cpuMs: () => cpuOf(child),
        postgresCpuMs: () => cpuMsOfFamily(postmaster),
        stop: async () => {
          const ended = once(child, 'exit')
          child.kill()
          await ended
          if (--running > 0) return
          await listener.end()
          await fresh.drop()
        },
      }
    }),
  )
}

/** Listens as a job worker does: whoever commits a job then has somebody to tell. */
async function jobListener(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('listen "jobs:insert"')
  return client
}

/** NaN when the server is on another machine, or there is no /proc. */
async function postmasterOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return parentOf(rows[0]?.pid ?? Number.NaN)
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [{ cpu }] = (await once(child, 'message')) as [{ cpu: number }]
  return cpu
}
