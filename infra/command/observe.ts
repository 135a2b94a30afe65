/** Looks at what runs on a data directory, from outside: files, processes, and what the endpoint says. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { HSM_FILES, hsmConfig } from '../../provider-schema/hsm-directory.ts'
import { findProcess } from '../hosts/hsm-process.ts'
import { livingLauncher, readInstance } from '../launcher/instance.ts'
import { PLACES } from '../places.ts'
import { postgresProcess } from '../postgres/leftover.ts'
import { isSame, residentBytes } from '../processes/identity.ts'
import { regionPlaces } from '../region/places.ts'

export interface Observed {
  readonly kind: 'launcher' | 'region' | 'postgres' | 'hsm'
  readonly name: string
  /** `running`, `stopped`, or what a region is waiting for. */
  readonly state: string
  readonly pid: number | undefined
  readonly memoryBytes: number | undefined
  /** Where it listens. */
  readonly address: string
  readonly region?: string
}

export interface Observation {
  readonly data: string
  readonly url: string | undefined
  readonly ready: boolean
  readonly processes: readonly Observed[]
}

const ANSWER_MS = 4_000
const readiness = z.object({
  ready: z.boolean(),
  regions: z.record(z.string(), z.object({ ready: z.boolean(), checks: z.record(z.string(), z.string()) })),
})

export async function observe(data: string): Promise<Observation> {
  const [launcher, instance] = await Promise.all([livingLauncher(data), readInstance(data)])
  const url = launcher ? instance?.url : undefined
  const [answer, postgres, hsms] = await Promise.all([
    url === undefined ? undefined : readinessAt(url),
    postgresProcess(join(data, PLACES.postgres)),
    observeHsms(data),
  ])
  const regions = await Promise.all(
    Object.entries(instance?.regions ?? {}).map(async ([name, record]): Promise<Observed> => {
      const pid = (await isSame(record)) ? record.pid : undefined
      const region = answer?.regions[name]
      const wrong = Object.entries(region?.checks ?? {}).flatMap(([what, how]) =>
        how === 'ok' ? [] : `${what} ${how}`,
      )
      const state = pid === undefined ? 'stopped' : region?.ready ? 'ready' : wrong.join(', ') || 'does not answer'
      return { kind: 'region', name, state, pid, memoryBytes: await memoryOf(pid), address: url ?? '–' }
    }),
  )
  return {
    data,
    url,
    ready: answer?.ready ?? false,
    processes: [
      ...(launcher
        ? [
            {
              kind: 'launcher',
              name: 'strongroom',
              state: 'running',
              pid: launcher.pid,
              memoryBytes: await memoryOf(launcher.pid),
              address: url ?? '–',
            } as const,
          ]
        : []),
      ...(postgres
        ? [
            {
              kind: 'postgres',
              name: 'postgres',
              state: 'running',
              pid: postgres.pid,
              memoryBytes: await memoryOf(postgres.pid),
              address: `127.0.0.1:${postgres.port}`,
            } as const,
          ]
        : []),
      ...regions,
      ...hsms,
    ],
  }
}

export async function observeHsms(data: string): Promise<Observed[]> {
  const regions = await readdir(join(data, PLACES.regions)).catch(() => [])
  const perRegion = regions.map(async (region) => {
    const { hsms } = regionPlaces(data, region)
    const ids = (await readdir(hsms).catch(() => [])).filter((name) => name.startsWith('hsm-')).toSorted()
    return Promise.all(ids.map((id) => observeHsm(region, id, join(hsms, id))))
  })
  return (await Promise.all(perRegion)).flat()
}

async function observeHsm(region: string, name: string, directory: string): Promise<Observed> {
  const pid = await findProcess(directory)
  const address = await readFile(join(directory, HSM_FILES.config), 'utf8').then(
    (text) => hsmConfig.parse(JSON.parse(text)).address,
    () => '–',
  )
  const state = pid === undefined ? 'stopped' : 'running'
  return { kind: 'hsm', name, region, state, pid, memoryBytes: await memoryOf(pid), address }
}

const memoryOf = async (pid: number | undefined) => (pid === undefined ? undefined : residentBytes(pid))

async function readinessAt(url: string): Promise<z.infer<typeof readiness> | undefined> {
  try {
    const response = await fetch(`${url}/_strongroom/ready`, { signal: AbortSignal.timeout(ANSWER_MS) })
    return readiness.parse(await response.json())
  } catch {
    return undefined
  }
}
