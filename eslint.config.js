// Lint rules: typescript-eslint's strict set, the habits of this project, and who may import whom.
import { defineConfig } from 'eslint/config'
import { importX } from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'

/**
 * Who may import whom. Each room lists the rooms it may reach besides itself; provider-schema is open to all.
 * test/ and bench/ drive everything and are not listed.
 */
const MAY_IMPORT = {
  'provider-schema': [],
  migrations: ['provider-schema'],
  state: ['provider-schema', 'migrations'],
  api: ['provider-schema', 'state'],
  'workers/jobs': ['provider-schema', 'state', 'workers/hsm/protocol'],
  'workers/hsm/protocol': ['provider-schema'],
  'workers/hsm': ['provider-schema'],
  'clients/sdk': ['provider-schema', 'workers/hsm/protocol'],
  'clients/cli': ['provider-schema', 'workers/hsm/protocol', 'clients/sdk'],
  infra: ['provider-schema', 'migrations', 'state', 'api', 'workers', 'clients/sdk'],
}

const zones = Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
  target: `./${room}/**/!(*.test).ts`,
  from: '.',
  except: [...new Set([room, ...allowed, 'node_modules', 'package.json'])].map((name) => `./${name}`),
  message: `${room} may import only: ${[room, ...allowed].join(', ')} (who may import whom: CONTRIBUTING.md).`,
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
      'import-x/no-restricted-paths': ['error', { zones, basePath: import.meta.dirname }],
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
  // What tests are made of may reach what tests may.
  { files: ['**/testing/**/*.ts'], rules: { 'import-x/no-restricted-paths': 'off' } },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts', '**/*.config.ts'],
    rules: { 'no-console': 'off', 'import-x/no-default-export': 'off' },
  },
  { files: ['**/*.config.ts'], rules: { 'import-x/no-default-export': 'off' } },
)
