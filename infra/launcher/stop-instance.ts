/** Ends whatever runs on a data directory, whether or not its launcher lives. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stopAll } from '../hosts/host.ts'
import { PLACES } from '../places.ts'
import { stopLeftover } from '../postgres/leftover.ts'
import { regionPlaces } from '../region/places.ts'
import { isSame, type ProcessRecord } from '../processes/identity.ts'
import { livingLauncher, readInstance, removeInstance } from './instance.ts'

export interface Stopped {
  readonly launcher: boolean
  /** What had outlived its launcher. */
  readonly regions: number
  readonly hsms: number
  readonly postgres: boolean
}

const LOOK_MS = 50
/** The launcher stops everything else first. */
const LAUNCHER_MS = 60_000
const REGION_MS = 25_000

/** Signals only processes that were recognised. May be repeated; nothing to do is no error. */
export async function stopInstance(data: string): Promise<Stopped> {
  const launcher = await livingLauncher(data)
  if (launcher) await end(launcher, LAUNCHER_MS)
  let regions = 0
  for (const record of Object.values((await readInstance(data))?.regions ?? {})) {
    if (!(await isSame(record))) continue
    await end(record, REGION_MS)
    regions += 1
  }
  const hsms = await stopHsms(data)
  const postgres = await stopLeftover(join(data, PLACES.postgres))
  await removeInstance(data)
  if (!(await livingLauncher(data))) await rm(join(data, PLACES.lock), { force: true })
  return { launcher: launcher !== undefined, regions, hsms, postgres }
}

async function stopHsms(data: string): Promise<number> {
  const regions = await readdir(join(data, PLACES.regions)).catch(() => [])
  const ended = await Promise.all(regions.map((region) => stopAll(regionPlaces(data, region).hsms)))
  return ended.reduce((sum, each) => sum + each, 0)
}

async function end(record: ProcessRecord, graceMs: number): Promise<void> {
  for (const [signal, ms] of [
    ['SIGTERM', graceMs],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!(await isSame(record))) return
    process.kill(record.pid, signal)
    for (let waited = 0; waited < ms; waited += LOOK_MS) {
      if (!(await isSame(record))) return
      await sleep(LOOK_MS)
    }
  }
  throw new Error(`process ${record.pid} does not end`)
}
