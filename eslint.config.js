// Lint rules: typescript-eslint's strict set, the habits of this project, and who may import whom.
import { defineConfig } from 'eslint/config'
import { importX } from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'

/**
 * Who may import whom. A room is a folder, or one file of it that may do more than the rest; the innermost room that a file
 * is in counts, so that the wider ones stand first here. Each may import itself and what it lists.
 * Tests, and the `testing` folders that they are made of, reach everything, and nothing but them reaches these. So do
 * test/ and bench/.
 */
const MAY_IMPORT = {
  'provider-schema': [],
  migrations: ['provider-schema'],
  state: ['provider-schema', 'migrations'],
  api: ['provider-schema', 'state'],
  'api/kms': ['provider-schema', 'state', 'api', 'clients/sdk'],
  'audit-log': ['provider-schema'],
  'workers/jobs': ['provider-schema', 'state', 'workers/hsm/protocol'],
  'workers/hsm': ['provider-schema', 'audit-log'],
  'workers/hsm/protocol': ['provider-schema'],
  'clients/sdk': ['provider-schema', 'workers/hsm/protocol'],
  'clients/cli': ['provider-schema', 'workers/hsm/protocol', 'clients/sdk'],
  'clients/pkcs11': ['provider-schema', 'workers/hsm/protocol', 'clients/sdk'],
  infra: ['provider-schema', 'audit-log', 'migrations', 'state', 'api', 'workers/jobs', 'clients/sdk'],
  // Implements the port through which workers/jobs speaks to an HSM, in the HSM's protocol.
  'infra/management.ts': ['provider-schema', 'infra', 'workers/jobs', 'workers/hsm/protocol'],
}

const TESTS = ['**/*.test.ts', '**/testing/**/*.ts', '**/fixtures/**/*.ts']

/** The rule for one room: everything of ours is closed but what it lists, and what tests are made of. */
const rooms = Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
  files: [room.endsWith('.ts') ? room : `${room}/**/*.ts`],
  ignores: TESTS,
  rules: {
    'import-x/no-restricted-paths': [
      'error',
      {
        basePath: import.meta.dirname,
        zones: [
          {
            target: '.',
            from: '.',
            except: [room, ...allowed, 'node_modules', 'package.json'].map((name) => `./${name}`),
            message: `${room} may import only: ${[room, ...allowed].join(', ')} (who may import whom: CONTRIBUTING.md).`,
          },
          { target: '.', from: './**/testing/**', message: 'Only tests import what tests are made of.' },
        ],
      },
    ],
  },
}))

export default defineConfig(
  { ignores: ['node_modules/', '.strongroom/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver': { node: { extensions: ['.ts', '.js'] } } },
    rules: {
      'import-x/no-cycle': 'error',
      'import-x/no-default-export': 'error',
      'import-x/no-extraneous-dependencies': [
        'error',
        { devDependencies: ['**/*.test.ts', '**/testing/**', 'test/**', 'bench/**', '**/*.config.ts'] },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-non-null-assertion': 'error',
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  // node:test's `test()` returns a promise that the runner owns; command line programs talk on the console.
  {
    files: ['**/*.test.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['test', 'it', 'describe', 'suite'], package: 'node:test' },
          ],
        },
      ],
    },
  },
  ...rooms,
  {
    files: ['test/**/*.ts', 'bench/**/*.ts', '**/*.config.ts'],
    rules: { 'no-console': 'off', 'import-x/no-default-export': 'off' },
  },
  { files: ['**/*.config.ts'], rules: { 'import-x/no-default-export': 'off' } },
)
