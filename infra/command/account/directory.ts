/** What every `strongroom account` command needs: the directory of all regions, and how to change it. */
import { join } from 'node:path'
import { createAccount, IdentityRefusal } from '../../../api/identity/directory.ts'
import type { IdentityKey } from '../../../api/identity/identity-key.ts'
import type { Directory } from '../../../provider-schema/identity.ts'
import type { Configuration } from '../../configuration/configuration.ts'
import { loadConfiguration } from '../../configuration/load.ts'
import { changeDirectory, newestDirectory, openRegions, type Regions } from '../../identity/all-regions.ts'
import { loadIdentityKey } from '../../identity/identity-key-file.ts'
import { databaseUrls } from '../../identity/region-urls.ts'
import { openFleet } from '../../pki/fleet.ts'
import { PLACES } from '../../places.ts'
import { Trouble } from '../../trouble.ts'
import type { PlaceFlags } from './flags.ts'
import { terminal } from './terminal.ts'

export interface Accounts {
  readonly configuration: Configuration
  readonly regions: Regions
  readonly read: () => Promise<Directory>
  /** Writes to every region, or to none. What cannot be is a Trouble. */
  readonly change: (change: (directory: Directory) => Directory) => Promise<void>
  /** The account that is meant. An account of the configuration is taken into the directory with the first change. */
  readonly accountOf: (
    directory: Directory,
    named: string | undefined,
  ) => { readonly id: string; readonly directory: Directory }
  readonly identityKey: () => Promise<IdentityKey>
}

/** Runs a command's work, and closes what it needed. */
export async function withAccounts(flags: PlaceFlags, work: (accounts: Accounts) => Promise<void>): Promise<void> {
  const configuration = await loadConfiguration({ data: flags.data, config: flags.config })
  const regions = await openRegions(await databaseUrls(configuration))
  try {
    if (regions.prepared.length === 0) {
      throw new Trouble('No region has been started yet: there is no place to keep accounts in.', {
        mend: 'Start it first: strongroom up --detach',
      })
    }
    await work(accountsOf(configuration, regions))
    for (const region of regions.unprepared) {
      terminal.warn(`${region} was never started: it is told when it is.\n`)
    }
  } catch (error) {
    if (error instanceof IdentityRefusal) throw new Trouble(error.message)
    throw error
  } finally {
    await regions.close()
  }
}

function accountsOf(configuration: Configuration, regions: Regions): Accounts {
  const configured = configuration.accounts.map(({ id }) => id)
  return {
    configuration,
    regions,
    read: async () => (await newestDirectory(regions)).directory,
    change: async (change) => {
      await changeDirectory(regions, change)
    },
    accountOf: (directory, named) => {
      const all = [...new Set([...directory.accounts.map(({ id }) => id), ...configured])].toSorted()
      const id = named ?? (all.length === 1 ? all[0] : undefined)
      if (id === undefined) {
        throw new Trouble(`Which account? There are ${all.join(', ') || 'none'}.`, { mend: 'Name it with --account.' })
      }
      const isMissing = !directory.accounts.some((each) => each.id === id)
      return { id, directory: isMissing && configured.includes(id) ? withConfigured(directory, id) : directory }
    },
    identityKey: async () => loadIdentityKey(await openFleet(join(configuration.data, PLACES.fleet))),
  }
}

const withConfigured = (directory: Directory, id: string) => createAccount(directory, id, 'configured', new Date())

/** One line for each of the regions that were told. */
export function toldRegions({ regions }: Accounts): string {
  return `In ${regions.prepared.map(({ region }) => region).join(', ')}.\n`
}
