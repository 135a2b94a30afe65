/** A load, and what each call of it cost whom. */
import type { ApiProcess } from './api.ts'
import { load, type Load, type LoadOptions } from './http-load.ts'

export interface Measured extends Load {
  /** Milliseconds of CPU for each call. */
  readonly cpuMs: { readonly api: number; readonly postgres: number; readonly client: number }
}

/** Offers load to one API process, whose PostgreSQL nobody else uses. */
export async function measured(api: ApiProcess, options: Omit<LoadOptions, 'port'>): Promise<Measured> {
  const before = await used(api)
  const result = await load({ ...options, port: api.port })
  const after = await used(api)
  const each = (part: keyof typeof before) => (after[part] - before[part]) / result.requests
  return { ...result, cpuMs: { api: each('api'), postgres: each('postgres'), client: each('client') } }
}

async function used(api: ApiProcess) {
  const { user, system } = process.cpuUsage()
  return { api: await api.cpuMs(), postgres: await api.postgresCpuMs(), client: (user + system) / 1_000 }
}
