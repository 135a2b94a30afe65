/** The linter knows who may import whom: every room tries every other, under the project's own configuration. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { ESLint, Linter } from 'eslint'
import { importX } from 'eslint-plugin-import-x'
import { parser } from 'typescript-eslint'
import { z } from 'zod'
import { ROOT } from './support/product.ts'

const RULE = 'import-x/no-restricted-paths'

/** Of each room one file to import. */
const ROOMS = {
  'provider-schema': 'provider-schema/ids.ts',
  migrations: 'migrations/migrate.ts',
  state: 'state/database.ts',
  api: 'api/ports.ts',
  'audit-log': 'audit-log/verify.ts',
  'workers/jobs': 'workers/jobs/ports.ts',
  'workers/hsm': 'workers/hsm/vault/keys.ts',
  'workers/hsm/protocol': 'workers/hsm/protocol/errors.ts',
  'clients/sdk': 'clients/sdk/client.ts',
  'clients/cli': 'clients/cli/program.ts',
  infra: 'infra/places.ts',
  test: 'test/support/product.ts',
  bench: 'bench/run.ts',
  'what tests are made of': 'infra/pki/testing/device-request.ts',
} as const
type Room = keyof typeof ROOMS

/** Of each file that tries, the rooms besides its own that it may import. It need not exist. */
const IMPORTERS: Record<string, readonly Room[]> = {
  'provider-schema/new.ts': [],
  'migrations/new.ts': ['provider-schema'],
  'state/new.ts': ['provider-schema', 'migrations'],
  'api/cloudhsmv2/new.ts': ['provider-schema', 'state', 'api'],
  'api/kms/new.ts': ['provider-schema', 'state', 'api', 'clients/sdk'],
  'audit-log/new.ts': ['provider-schema'],
  'workers/jobs/new.ts': ['provider-schema', 'state', 'workers/hsm/protocol'],
  'workers/hsm/new.ts': ['provider-schema', 'audit-log', 'workers/hsm/protocol'],
  'workers/hsm/vault/new.ts': ['provider-schema', 'audit-log', 'workers/hsm/protocol'],
  'workers/hsm/protocol/new.ts': ['provider-schema'],
  'clients/sdk/new.ts': ['provider-schema', 'workers/hsm/protocol'],
  'clients/cli/commands/new.ts': ['provider-schema', 'workers/hsm/protocol', 'clients/sdk'],
  'clients/pkcs11/new.ts': ['provider-schema', 'workers/hsm/protocol', 'clients/sdk'],
  'infra/command/new.ts': ['provider-schema', 'audit-log', 'migrations', 'state', 'api', 'workers/jobs', 'clients/sdk'],
  'infra/management.ts': ['provider-schema', 'infra', 'workers/jobs', 'workers/hsm/protocol'],
}

const eslint = new ESLint({ cwd: ROOT })
const settled = z.object({ rules: z.record(z.string(), z.unknown()), settings: z.record(z.string(), z.unknown()) })
const config = async (file: string) => settled.parse(await eslint.calculateConfigForFile(resolve(ROOT, file)))

/** The rooms of which a file may import something. */
async function open(file: string): Promise<Room[]> {
  const { rules, settings } = await config(file)
  const text = Object.values(ROOMS)
    .map((target) => `import './${relative(dirname(file), target)}'\n`)
    .join('')
  const found = new Linter({ cwd: ROOT }).verify(
    text,
    {
      files: ['**/*.ts'],
      languageOptions: { parser },
      plugins: { 'import-x': importX },
      settings,
      rules: z.record(z.literal(RULE), z.custom<Linter.RuleEntry>()).parse({ [RULE]: rules[RULE] ?? 'off' }),
    },
    { filename: resolve(ROOT, file) },
  )
  assert.deepEqual(
    found.filter(({ ruleId }) => ruleId !== RULE),
    [],
  )
  const reported = new Set(found.map(({ line }) => line))
  return (Object.keys(ROOMS) as Room[]).filter((_, i) => !reported.has(i + 1))
}

for (const [file, allowed] of Object.entries(IMPORTERS)) {
  test(`${file} may import ${allowed.length === 0 ? 'nothing of ours' : allowed.join(', ')}, and no more`, async () => {
    // Its own is the innermost that it is in.
    const own = Object.keys(ROOMS).findLast((room) => file.startsWith(`${room}/`))
    const others = (rooms: readonly Room[]) => rooms.filter((room) => allowed.includes(room) || room !== own).sort()
    assert.deepEqual(others(await open(file)), [...allowed].sort())
  })
}

test('tests, and what they are made of, may import everything', async () => {
  for (const file of ['infra/new.test.ts', 'workers/hsm/testing/new.ts', 'test/new.ts', 'bench/new.ts']) {
    assert.equal((await open(file)).length, Object.keys(ROOMS).length, file)
  }
})

test('no code of ours is outside the rules', async () => {
  const free = new Set(['test', 'bench'])
  const folders = globSync('*/**/*.ts', { cwd: ROOT, exclude: ['node_modules', '.*'] }).map((file) => dirname(file))
  for (const folder of new Set(folders)) {
    const [top = '', ...rest] = folder.split('/')
    if (free.has(top) || rest.some((name) => ['testing', 'fixtures'].includes(name))) continue
    assert.ok((await config(`${folder}/new.ts`)).rules[RULE], folder)
  }
})
