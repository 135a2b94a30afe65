/** Where the databases of all regions of a data directory are. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REGION_NAME, type Configuration } from '../configuration/configuration.ts'
import { configuredDatabaseUrl, databaseName } from '../configuration/database-url.ts'
import { PLACES } from '../places.ts'
import { SUPERUSER } from '../postgres/initdb.ts'
import { postgresProcess } from '../postgres/leftover.ts'
import { Trouble } from '../trouble.ts'

/** By region: those of the configuration, and those that the directory has. Throws a Trouble when the embedded server is down. */
export async function databaseUrls(configuration: Configuration): Promise<ReadonlyMap<string, string>> {
  const { data, regions } = configuration
  const existing = (await readdir(join(data, PLACES.regions)).catch(() => [])).filter((name) => REGION_NAME.test(name))
  const urls = new Map<string, string>()
  let embedded: ((database: string) => string) | undefined
  for (const region of new Set([...regions, ...existing])) {
    const configured = configuredDatabaseUrl(configuration, region)
    if (configured === undefined) embedded ??= await embeddedServer(data)
    urls.set(region, configured ?? embedded?.(databaseName(region)) ?? '')
  }
  return urls
}

async function embeddedServer(data: string): Promise<(database: string) => string> {
  const dir = join(data, PLACES.postgres)
  const running = await postgresProcess(dir)
  if (!running) {
    throw new Trouble(`Strongroom does not run on ${data}.`, {
      mend: 'Start it ("strongroom up --detach"), or name another directory with --data.',
    })
  }
  const password = await readFile(join(dir, 'password'), 'utf8')
  return (database) => `postgres://${SUPERUSER}:${password}@127.0.0.1:${running.port}/${database}`
}
