/** The database of a region from outside of it, for commands that read it: the operator's, or the embedded one that runs. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Configuration } from '../configuration/configuration.ts'
import { configuredDatabaseUrl, databaseName } from '../configuration/database-url.ts'
import { PLACES } from '../places.ts'
import { SUPERUSER } from '../postgres/initdb.ts'
import { postgresProcess } from '../postgres/leftover.ts'
import { Trouble } from '../trouble.ts'

/** Its URL. Holds a password: not to be shown. Throws a Trouble when the region is not there, or its server is down. */
export async function regionDatabaseUrl(configuration: Configuration, region: string): Promise<string> {
  const { regions, data } = configuration
  if (!regions.includes(region))
    throw new Trouble(`There is no region ${region}.`, { mend: `There are: ${regions.join(', ')}` })
  const configured = configuredDatabaseUrl(configuration, region)
  if (configured !== undefined) return configured
  const place = join(data, PLACES.postgres)
  const running = await postgresProcess(place)
  const password = await readFile(join(place, 'password'), 'utf8').catch(() => '')
  if (!running || password === '') {
    throw new Trouble(`The database of ${data} does not run.`, { mend: 'Start it: strongroom up' })
  }
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${running.port}/${databaseName(region)}`
}
