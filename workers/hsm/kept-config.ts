/**
 * The configuration that an HSM goes by: that of its first start, kept sealed. Nothing changes one after that, so a file that
 * says something else, or nothing, was damaged: another address or type would come from one flipped bit. It is written anew.
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HSM_FILES, hsmConfig, type HsmConfig } from '../../provider-schema/hsm-directory.ts'
import { isMissing, writeWhole } from './identity/files.ts'
import { HOW_TO_RECOVER, VaultDamaged } from './vault/seal.ts'
import type { RecordStore } from './vault/record-store.ts'

const KEPT = 'config'

/** What the file says, or why it says nothing. */
export type FoundConfig = { readonly config: HsmConfig } | { readonly wrong: string }

export async function findConfig(directory: string): Promise<FoundConfig> {
  const path = join(directory, HSM_FILES.config)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return { wrong: `${path} is missing` }
    return { wrong: `${path} cannot be read: ${String(error)}` }
  }
  try {
    const parsed = hsmConfig.safeParse(JSON.parse(text))
    if (parsed.success) return { config: parsed.data }
    const [issue] = parsed.error.issues
    return {
      wrong: `${path} is not a configuration of an HSM: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    }
  } catch (error) {
    return { wrong: `${path} is not a configuration of an HSM: ${error instanceof Error ? error.message : ''}` }
  }
}

/** What is kept in a store; undefined before the first start has ended. */
export function keptConfig(local: Pick<RecordStore['local'], 'get'>): HsmConfig | undefined {
  const kept = local.get(KEPT)
  return kept && hsmConfig.safeParse(JSON.parse(Buffer.from(kept).toString('utf8'))).data
}

/** Throws VaultDamaged, with what can be done, for a file that says nothing. */
export function requireConfig(found: FoundConfig): HsmConfig {
  if ('config' in found) return found.config
  throw new VaultDamaged(`${found.wrong}. Restore the file from a copy. ${HOW_TO_RECOVER}`)
}

/**
 * Settles which configuration holds, keeps it at the first start, and mends the file when it differs. The path of the fleet
 * key may change, as when the data directory was moved: the one that leads to a file counts.
 */
export async function settleConfig(options: {
  readonly directory: string
  readonly found: FoundConfig
  readonly local: RecordStore['local']
  readonly warn: (details: object, text: string) => void
}): Promise<HsmConfig> {
  const { directory, found, local, warn } = options
  const kept = keptConfig(local)
  if (!kept) {
    const config = requireConfig(found)
    await local.put(KEPT, Buffer.from(JSON.stringify(config)))
    return config
  }
  const inFile = 'config' in found ? found.config : undefined
  const moved = inFile?.fleetBackupKeyFile !== kept.fleetBackupKeyFile && (await canBeRead(inFile?.fleetBackupKeyFile))
  const config = moved && inFile ? { ...kept, fleetBackupKeyFile: inFile.fleetBackupKeyFile } : kept
  if (moved) await local.put(KEPT, Buffer.from(JSON.stringify(config)))
  const wrong = 'wrong' in found ? found.wrong : differences(found.config, config)
  if (wrong !== undefined) {
    warn({ wrong }, 'the configuration file was damaged; it is written anew from what the HSM keeps sealed')
    // On a full disk the next start does it.
    await writeWhole(join(directory, HSM_FILES.config), JSON.stringify(config)).catch(() => undefined)
  }
  return config
}

function differences(inFile: HsmConfig, config: HsmConfig): string | undefined {
  const names = new Set([...Object.keys(inFile), ...Object.keys(config)])
  const other = [...names].filter((name) => textOf(inFile, name) !== textOf(config, name))
  return other.length === 0 ? undefined : `${other.join(', ')} differ from what this HSM was set up with`
}

const textOf = (config: HsmConfig, name: string) => JSON.stringify(Object.entries(config).find(([key]) => key === name))

async function canBeRead(path: string | undefined): Promise<boolean> {
  if (path === undefined) return false
  return open(path, 'r').then(
    async (file) => file.close().then(() => true),
    () => false,
  )
}
