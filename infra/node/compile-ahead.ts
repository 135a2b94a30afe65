/**
 * Part of what npm runs once everything is installed: compiles the code of every program into Node's compile cache
 * (bin/.exec says where), so that the first start is as quick as any other. What goes wrong here is no harm: whoever runs
 * a program compiles what is missing.
 */
import { globSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { join } from 'node:path'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What each kind of process consists of, without what starts it. */
const CONTENTS = [
  'infra/command/up.ts',
  'infra/region/region.ts',
  'workers/hsm/hsm.ts',
  'clients/cli/program.ts',
  'clients/cli/configure/program.ts',
]

if (getCompileCacheDir() !== undefined) {
  // Running it compiles the functions too that are needed to get so far, and CommonJS modules.
  for (const file of CONTENTS) await import(urlOf(file))
  await compileOnly(ourFiles())
}

function ourFiles(): string[] {
  return globSync('{api,audit-log,clients,infra,migrations,provider-schema,state,workers}/**/*.ts', {
    cwd: ROOT,
    exclude: ['**/*.test.ts', '**/testing/**', '**/*.config.ts'],
  })
}

function urlOf(file: string): string {
  return pathToFileURL(join(ROOT, file)).href
}

/**
 * Compiles modules without running them: programs start when they are run. All modules of a graph are compiled before
 * its first one runs, and here the first one throws.
 */
async function compileOnly(files: readonly string[]): Promise<void> {
  const graph = ['data:text/javascript,throw undefined', ...files.map(urlOf)]
  const source = graph.map((url) => `import ${JSON.stringify(url)}`).join('\n')
  await import(`data:text/javascript,${encodeURIComponent(source)}`).catch(() => undefined)
}
