/** What lies where in a region's directory, and the small things kept there. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../files/durable.ts'
import { PLACES } from '../places.ts'
import { codeOf } from '../trouble.ts'

export interface RegionPlaces {
  readonly dir: string
  /** Directories of the HSMs that this machine runs for the region. */
  readonly hsms: string
  readonly backups: string
  /** Delivered audit logs, in CloudWatch's naming. */
  readonly logs: string
  /** Block of loopback addresses. */
  readonly addresses: string
  /** How the `strongroom` command reaches the API. */
  readonly operator: string
  /** Held by the process that runs the HSMs. */
  readonly jobsLock: string
}

export function regionPlaces(data: string, region: string): RegionPlaces {
  const dir = join(data, PLACES.regions, region)
  return {
    dir,
    hsms: join(dir, 'hsms'),
    backups: join(dir, 'backups'),
    logs: join(dir, 'logs'),
    addresses: join(dir, 'addresses.json'),
    operator: join(dir, 'operator.json'),
    jobsLock: join(dir, 'jobs.lock'),
  }
}

/** Every region that the data directory has. */
export async function regionNames(data: string): Promise<string[]> {
  return (await readdir(join(data, PLACES.regions)).catch(() => [])).sort()
}

export async function makeRegionDirectory(places: RegionPlaces): Promise<void> {
  await mkdir(places.dir, { recursive: true, mode: 0o700 })
}

/** This machine's name among the hosts of the region, the same for ever: a random one, unless the first to ask has one. */
export async function hostId(places: RegionPlaces, name?: string): Promise<string> {
  return (await once(join(places.dir, 'host-id'), () => name ?? `host-${randomBytes(8).toString('hex')}`)).trim()
}

/** Key of the API's page tokens. */
export async function pageTokenKey(places: RegionPlaces): Promise<Buffer> {
  return Buffer.from(await once(join(places.dir, 'page-token.key'), () => randomBytes(32).toString('hex')), 'hex')
}

/** The content of a file that is made once, whoever comes first. */
async function once(path: string, make: () => string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  await writeDurably(draft, make())
  await link(draft, path).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  await rm(draft)
  return readFile(path, 'utf8')
}
