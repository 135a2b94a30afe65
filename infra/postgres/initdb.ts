/** How PostgreSQL's own programs make a data area. */
import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { syncTree } from '../files/durable.ts'
import { Trouble, textOf } from '../trouble.ts'
import type { Binaries } from './binaries.ts'
import { giveTo, type Unprivileged } from './unprivileged.ts'

export const SUPERUSER = 'strongroom'

/** What every data area of ours is made with; where it lies and its password come on top. */
export const INITDB_FLAGS: readonly string[] = [
  `--username=${SUPERUSER}`,
  '--auth=scram-sha-256',
  '--encoding=UTF8',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--locale=C',
  '--no-instructions',
]

export interface Programs {
  readonly binaries: Binaries
  readonly runAs: Unprivileged
}

/** Where the password is while initdb runs. */
export const passwordFileOf = (area: string) => `${area}.password`

/**
 * Runs initdb. All of it is on disk when this resolves.
 * @param area must not exist yet; whoever may see the folder above it may see its name only.
 */
export async function runInitdb(area: string, password: string, { binaries, runAs }: Programs): Promise<void> {
  const passwordFile = passwordFileOf(area)
  await mkdir(area, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  // initdb syncs its thousand files one after another: 0.7 to 1.8 s on a busy disk, 0.3 s when several are synced at once.
  // But on macOS Node's sync has the disk itself empty its cache each time, and another user's files may not be ours to open.
  const weSync = process.platform === 'linux' && !runAs.user
  const where = [`--pgdata=${area}`, `--pwfile=${passwordFile}`]
  try {
    if (runAs.user) {
      await giveTo(runAs.user, area)
      await giveTo(runAs.user, passwordFile)
    }
    const [program = '', ...args] = [
      ...runAs.prefix,
      binaries.initdb,
      ...where,
      ...INITDB_FLAGS,
      ...(weSync ? ['--no-sync'] : []),
    ]
    await promisify(execFile)(program, args, { ...runAs.user, env: cleanEnvironment() })
    if (weSync) await syncTree(area)
  } catch (error) {
    const said = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new Trouble(`initdb failed: ${said || textOf(error)}`, {
      mend: 'Mend what it says, or use a server of your own: set STRONGROOM_DATABASE_URL.',
      cause: error,
    })
  } finally {
    await rm(passwordFile, { force: true })
  }
}

/** PostgreSQL reads PG* variables; none of the caller's may change what it does. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }
}
