/** Which database a region has on a server. */
import type { Configuration } from './configuration.ts'

/** e.g. `strongroom_us_east_1`. */
export const databaseName = (region: string, base = 'strongroom') => `${base}_${region.replaceAll('-', '_')}`

/**
 * The database of a region on the operator's server: as configured for the region; else the common URL with a name of
 * the region's own, which begins with the database that the URL names (`/hsm` → `hsm_us_east_1`). Undefined when the
 * embedded server is meant.
 */
export function configuredDatabaseUrl(configuration: Configuration, region: string): string | undefined {
  const own = configuration.region[region]?.databaseUrl
  if (own !== undefined || configuration.databaseUrl === undefined) return own
  const url = new URL(configuration.databaseUrl)
  const named = url.pathname.slice(1)
  url.pathname = `/${databaseName(region, named === '' || named === 'postgres' ? undefined : named)}`
  return url.href
}
