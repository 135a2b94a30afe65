/** Puts the configuration together from its sources, and refuses one that would be unsafe or cannot work. */
import { mkdtemp, readdir, readFile, realpath } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { HSM_TYPES } from '../../provider-schema/limits.ts'
import { PLACES } from '../places.ts'
import { codeOf, Trouble, whyNot } from '../trouble.ts'
import {
  configurationFile,
  DEFAULT_ACCOUNTS,
  DEFAULT_REGIONS,
  REGION_NAME,
  type Configuration,
} from './configuration.ts'

/** What the command line said; undefined where it said nothing. */
export interface Flags {
  readonly data?: string | undefined
  readonly config?: string | undefined
  readonly port?: string | undefined
  readonly listen?: string | undefined
  readonly regions?: string | undefined
  readonly ephemeral?: boolean | undefined
  /** Also offers hsm1.medium, whatever else is said. */
  readonly allowHsm1?: boolean | undefined
  readonly pace?: string | undefined
  readonly rehearsal?: boolean | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Absolute path of the data directory: as said, else STRONGROOM_DATA, else the user's place for application data. Throws a
 * Trouble for an empty text: it would mean the working directory, and is most likely a shell variable that is not set.
 */
export function dataDirectory(said?: string, env: Environment = process.env): string {
  if (said === '') throw new Trouble('--data names no directory: it is empty.', { mend: 'Name one, or leave it out.' })
  const share = valueOf(env, 'XDG_DATA_HOME') ?? join(homedir(), '.local', 'share')
  return resolve(said ?? valueOf(env, 'STRONGROOM_DATA') ?? join(share, 'strongroom'))
}

/** A variable that is set to nothing is as good as not set: compose files and units have such. */
const valueOf = (env: Environment, name: string) => (env[name] === '' ? undefined : env[name])

/** Throws a Trouble that names the source and the member at fault. */
export async function loadConfiguration(flags: Flags, env: Environment = process.env): Promise<Configuration> {
  const ephemeral = flags.ephemeral ?? false
  if (ephemeral && flags.data !== undefined) {
    throw new Trouble('--ephemeral keeps nothing, so that --data has no meaning with it.', { mend: 'Leave out one.' })
  }
  const said = (name: string) => valueOf(env, name)
  const file = flags.config ?? said('STRONGROOM_CONFIG')
  const data = ephemeral ? '' : dataDirectory(flags.data, env)
  const fromFile = await readConfigurationFile(file, data)
  const merged = {
    ...fromFile,
    ...defined({
      port: numberOf(flags.port ?? said('STRONGROOM_PORT')),
      listen: flags.listen ?? said('STRONGROOM_LISTEN'),
      regions: listOf(flags.regions ?? said('STRONGROOM_REGIONS')),
      pace: paceOf(flags.pace ?? said('STRONGROOM_PACE')),
      rehearsal: flags.rehearsal,
      databaseUrl: said('STRONGROOM_DATABASE_URL'),
    }),
  }
  const parsed = configurationFile.safeParse(merged)
  if (!parsed.success) {
    throw new Trouble(`The configuration cannot be used:\n${z.prettifyError(parsed.error)}`, {
      mend: 'Correct it in the file, the environment (STRONGROOM_…) or on the command line.',
    })
  }
  const regions = [...new Set(parsed.data.regions ?? (await regionsOf(data)))]
  const configuration: Configuration = {
    ...parsed.data,
    ...(flags.allowHsm1 === true && { offeredHsmTypes: [...HSM_TYPES] }),
    regions,
    ephemeral,
    data: ephemeral ? await realpath(await mkdtemp(join(tmpdir(), 'strongroom-'))) : data,
  }
  requireSafeListener(configuration)
  return configuration
}

/** Without a word on regions: those that the data directory has, so that none is left behind; else the default. */
async function regionsOf(data: string): Promise<readonly string[]> {
  const existing = data === '' ? [] : await readdir(join(data, PLACES.regions)).catch(() => [])
  const names = existing.filter((name) => REGION_NAME.test(name)).toSorted()
  const first = names.filter((name) => DEFAULT_REGIONS.some((each) => each === name))
  return names.length > 0 ? [...new Set([...first, ...names])] : DEFAULT_REGIONS
}

async function readConfigurationFile(named: string | undefined, data: string): Promise<object> {
  const path = named ?? join(data, PLACES.configuration)
  if (named === undefined && data === '') return {}
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (named === undefined && codeOf(error) === 'ENOENT') return '{}'
    throw new Trouble(`${path} cannot be read: ${whyNot(error)}.`, { cause: error })
  })
  try {
    const content: unknown = JSON.parse(text)
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content
  } catch (error) {
    // The parser's message quotes the text, and with it perhaps a secret.
    throw new Trouble(`${path} is not JSON.`, { cause: error instanceof SyntaxError ? undefined : error })
  }
  throw new Trouble(`${path} does not hold a JSON object.`)
}

/** Everybody knows the default credentials: they are for those who can log in to this machine. */
function requireSafeListener({ listen, accounts }: Configuration): void {
  if (isLoopback(listen)) return
  const known = DEFAULT_ACCOUNTS.flatMap((account) => account.accessKeys)
  const isKnown = accounts.some((account) =>
    account.accessKeys.some((key) =>
      known.some((each) => isDeepStrictEqual([each.id, each.secret], [key.id, key.secret])),
    ),
  )
  if (!isKnown) return
  throw new Trouble(`Listening on ${listen} with the default credentials would let anybody in.`, {
    mend: 'Set "accounts" with access keys of your own in strongroom.json, or listen on 127.0.0.1.',
  })
}

export const isLoopback = (address: string) => address.startsWith('127.') || address === '::1'

/** Not a number stays a text, so that the schema refuses it by name. */
function numberOf(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : text
}

/** A number, or a word for the schema to look at. */
function paceOf(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d{1,3}(\.\d{1,6})?$/.test(text) ? Number(text) : text
}

function listOf(text: string | undefined): string[] | undefined {
  const items = text
    ?.split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  return items
}

function defined(values: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
