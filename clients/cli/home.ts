/** Where the client tools keep their configuration (`etc/`) and their logs (`run/`). */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** AWS's place. */
const SYSTEM_HOME = '/opt/cloudhsm'

/**
 * `CLOUDHSM_HOME`; else /opt/cloudhsm where it exists and may be read; else `cloudhsm` in the user's configuration
 * directory. The same for all tools and users: what one configures is what another reads.
 */
export function clientHome(environment: NodeJS.ProcessEnv, systemHome = SYSTEM_HOME): string {
  const { CLOUDHSM_HOME, XDG_CONFIG_HOME } = environment
  if (CLOUDHSM_HOME) return resolve(CLOUDHSM_HOME)
  if (isReadable(systemHome)) return systemHome
  return XDG_CONFIG_HOME ? resolve(XDG_CONFIG_HOME, 'cloudhsm') : join(homedir(), '.config', 'cloudhsm')
}

function isReadable(directory: string): boolean {
  try {
    accessSync(directory, constants.R_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const configFileOf = (home: string) => join(home, 'etc', 'cloudhsm-cli.cfg')
/** Where AWS's setup guide tells people to put the CA certificate. */
export const defaultCaFileOf = (home: string) => join(home, 'etc', 'customerCA.crt')
export const defaultLogFileOf = (home: string) => join(home, 'run', 'cloudhsm-cli.log')
