import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { format, resolveConfig } from 'prettier'
import { clientOperations } from '../protocol/client-operations.ts'
import { HSM_ERROR_CODES } from '../protocol/errors.ts'
import { managementOperations } from '../protocol/management-operations.ts'
import { PAGE } from './file.ts'
import { protocolPage } from './page.ts'

test('docs/protocol.md is what the tables of the protocol give: run `npm run docs` after a change', async () => {
  const settings = await resolveConfig(PAGE)
  const expected = await format(protocolPage(), { ...settings, parser: 'markdown' })
  assert.ok(readFileSync(PAGE, 'utf8') === expected, 'docs/protocol.md is stale: run npm run docs')
})

test('every operation and every error code stands in it, and no shape is unknown', () => {
  const page = protocolPage()
  for (const name of [...Object.keys(clientOperations), ...Object.keys(managementOperations)]) {
    assert.match(page, new RegExp(`^### ${name}$`, 'm'))
  }
  for (const code of HSM_ERROR_CODES) assert.ok(page.includes(`- \`${code}\`: `))
  assert.doesNotMatch(page, /undefined|\[object/)
})
