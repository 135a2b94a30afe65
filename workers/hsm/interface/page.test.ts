import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { format, resolveConfig } from 'prettier'
import { MANAGEMENT_CONNECTIONS } from '../management-port/serve.ts'
import { DATA_CAPS } from '../mechanisms/data-caps.ts'
import { CAPACITY } from '../policy/hsm-types.ts'
import { clientOperations } from '../protocol/client-operations.ts'
import { HSM_ERROR_CODES } from '../protocol/errors.ts'
import { PART_LIMITS } from '../protocol/client/multi-part.ts'
import { managementOperations } from '../protocol/management-operations.ts'
import { QUORUM_SERVICES, TOKEN_LIFETIME_SECONDS, TOKEN_RECORD_BYTES } from '../protocol/quorum.ts'
import { MAX_TOKENS } from '../quorum/token-store.ts'
import { MAX_FAILURES } from '../vault/lockout.ts'
import { LOGIN_LIMITS } from '../vault/login-throttle.ts'
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

/** The lines from one heading to the next of its depth or above. */
function section(heading: string): string {
  const lines = protocolPage().split('\n')
  const from = lines.indexOf(heading)
  assert.notEqual(from, -1, `the page lacks ${heading}`)
  const depth = heading.indexOf(' ')
  const length = lines.slice(from + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= depth)
  return lines.slice(from, length === -1 ? undefined : from + 1 + length).join('\n')
}
const digits = (value: number) => value.toLocaleString('en-US')

test('the page tells the limits that the HSM keeps to', () => {
  const data = section('### Data of one request')
  for (const [mechanism, bytes] of Object.entries(DATA_CAPS)) {
    assert.ok(data.includes(`| \`${mechanism}\` | ${digits(bytes)} |`), mechanism)
  }
  const parts = section('### Data in parts')
  for (const value of [PART_LIMITS.operations, PART_LIMITS.bytes, PART_LIMITS.idleMs / 1000]) {
    assert.ok(parts.includes(digits(value)), String(value))
  }
  const logins = section('### Logins')
  const { freeFailures, firstDelayMs, longestDelayMs } = LOGIN_LIMITS
  for (const value of [freeFailures.user, freeFailures.address, firstDelayMs, longestDelayMs]) {
    assert.ok(logins.includes(digits(value)), String(value))
  }
  assert.ok(logins.includes(`The ${MAX_FAILURES + 1}th failure in a row locks the account`))
  const cluster = section('### What a cluster holds')
  for (const [type, { users, keys, asymmetricKeys }] of Object.entries(CAPACITY)) {
    assert.ok(
      cluster.includes(`| \`${type}\` | ${digits(users)} | ${digits(keys)} | ${digits(asymmetricKeys)} |`),
      type,
    )
  }
  assert.ok(cluster.includes(`${digits(MAX_TOKENS)} quorum tokens`))
  assert.ok(cluster.includes(`${MANAGEMENT_CONNECTIONS} connections`))
})

test('the page tells what users sign, how a token is made, and which operations need one', () => {
  assert.match(section('### Public keys and signatures'), /SubjectPublicKeyInfo[^]*2,048\s+bits[^]*RSASSA-PKCS1-v1_5/)
  const approvals = section('### Approvals by several users')
  assert.match(approvals, new RegExp(`${TOKEN_RECORD_BYTES} bytes each[^]*SHA-256 of \`approvalData\``))
  assert.ok(approvals.includes(`${TOKEN_LIFETIME_SECONDS} s`))
  const record = section('### The record of an HSM')
  for (const service of QUORUM_SERVICES) assert.match(record, new RegExp(`^\\| \`${service}\` \\| [12], \\d \\|$`, 'm'))
  assert.match(section('### How a list of members is signed'), /ECDSA with SHA-384/)
  assert.match(section('### MembershipDocument'), /epoch: integer/)
  assert.match(section('### user-create'), /Approvals: `user`\./)
  assert.match(section('### key-wrap'), /Approvals: `key-management`\./)
  assert.match(section('### sign'), /Approvals: `key-usage`\./)
})
