import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { z } from 'zod'
import {
  encodeTokenRecord,
  recordsIn,
  serviceIn,
  tokenOf,
  unixSecondsIn,
  usernameIn,
} from '../../workers/hsm/protocol/quorum.ts'
import {
  approvalFile,
  loginFile,
  readApprovalFile,
  readLoginFile,
  readRegistrationFile,
  registrationFile,
  TokenFileError,
} from './quorum-files.ts'

const HANDLE = '0x000000000068000c'
const record = (hsmId: string, service: 'user' | 'key-usage' | 'registration' = 'user') =>
  encodeTokenRecord({
    service,
    hsmId,
    ...(service === 'key-usage' && { handle: HANDLE }),
    nonce: randomBytes(16),
    username: 'admin',
    unixSeconds: 1_700_000_000,
  })
const signature = randomBytes(256)
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

const json = z.record(z.string(), z.unknown())
/** A file with some of its fields replaced, as a user's editor or an attacker leaves it. */
const changed = (file: string, fields: Record<string, unknown>) =>
  JSON.stringify({ ...json.parse(JSON.parse(file)), ...fields })
const signed = (file: string, signatures: readonly unknown[] = [entry()]) => changed(file, { signatures })
const entry = (fields: Record<string, unknown> = {}) => ({
  username: 'admin',
  role: 'admin',
  signature: base64(signature),
  ...fields,
})

test('a token of an admin service has the published fields, in their order', () => {
  const records = [record('hsm-1'), record('hsm-2')]
  const approvalData = Buffer.concat(records)
  assert.equal(
    approvalFile('user', undefined, records),
    `{
  "version": "2.0",
  "service": "user-management",
  "approval_data": "${base64(approvalData)}",
  "token": "${createHash('sha256').update(approvalData).digest('base64')}",
  "signatures": []
}
`,
  )
})

test('a token of a key service names the key behind the service', () => {
  const file: unknown = JSON.parse(approvalFile('key-usage', HANDLE, [record('hsm-1', 'key-usage')]))
  assert.deepEqual(Object.entries(json.parse(file)).slice(0, 3), [
    ['version', '2.0'],
    ['service', 'key-usage'],
    ['key_reference', HANDLE],
  ])
})

test('a token for registration has the published fields, and data of at most 245 bytes behind it', () => {
  const data = record('hsm-1', 'registration')
  const file = registrationFile(data)
  assert.deepEqual(JSON.parse(file), {
    version: '2.0',
    tokens: [{ approval_data: base64(data), unsigned: base64(tokenOf(data)), signed: '' }],
  })
  assert.throws(() => readRegistrationFile(file), TokenFileError, 'not signed yet')
  const tokens = [{ approval_data: base64(data), unsigned: base64(tokenOf(data)), signed: base64(signature) }]
  assert.deepEqual(readRegistrationFile(changed(file, { tokens })), { record: data, signature })
  const long = Buffer.alloc(246)
  const tooLong = [{ approval_data: base64(long), unsigned: base64(tokenOf(long)), signed: base64(signature) }]
  assert.throws(() => readRegistrationFile(changed(file, { tokens: tooLong })), TokenFileError)
})

test('tokens for a login come back with their signatures', () => {
  const tokens = [randomBytes(32), randomBytes(32)]
  const file = loginFile(tokens)
  assert.deepEqual(JSON.parse(file), {
    version: '2.0',
    tokens: tokens.map((unsigned) => ({ unsigned: base64(unsigned), signed: '' })),
  })
  const filled = tokens.map((unsigned) => ({ unsigned: base64(unsigned), signed: base64(signature) }))
  assert.deepEqual(
    readLoginFile(changed(file, { tokens: filled })),
    tokens.map((unsigned) => ({ unsigned, signed: signature })),
  )
})

test('a signed token comes back as it was written', () => {
  const records = [record('hsm-1'), record('hsm-2')]
  const file = signed(approvalFile('user', undefined, records), [entry({ username: 'Admin' })])
  assert.deepEqual(readApprovalFile(file), {
    service: 'user',
    handle: undefined,
    approvalData: Buffer.concat(records),
    signatures: [{ username: 'admin', role: 'admin', signature }],
  })
  // The name that lists show is taken as well.
  assert.equal(readApprovalFile(changed(file, { service: 'user' })).service, 'user')
})

const file = approvalFile('user', undefined, [record('hsm-1')])
for (const [what, content] of [
  ['something else than JSON', 'token'],
  ['JSON that is no object', '[]'],
  ['another version', changed(file, { version: '1.0' })],
  ['an unknown service', changed(file, { service: 'login' })],
  ['the service registration', changed(file, { service: 'registration' })],
  ['an unknown field', changed(file, { hsm: 1 })],
  ['a key with an admin service', changed(file, { key_reference: HANDLE })],
  ['no key with a key service', changed(file, { service: 'key-usage' })],
  ['a token that is not of its data', changed(file, { token: base64(randomBytes(32)) })],
  [
    'half a record',
    changed(file, { approval_data: base64(Buffer.alloc(120)), token: base64(tokenOf(Buffer.alloc(120))) }),
  ],
  ['data that is not base64', changed(file, { approval_data: '*'.repeat(108) })],
  ['a signature that is too short', signed(file, [entry({ signature: base64(randomBytes(255)) })])],
  ['a signature by an unknown role', signed(file, [entry({ role: 'king' })])],
  [
    '65 signatures',
    signed(
      file,
      Array.from({ length: 65 }, () => entry()),
    ),
  ],
  ['more than 256 KiB', `${' '.repeat(262_144)}${file}`],
] as const) {
  test(`a token file with ${what} is refused`, () => {
    assert.throws(() => readApprovalFile(content), TokenFileError)
  })
}

/**
 * As AWS published them in 2023: AWS CloudHSM user guide, Using quorum authentication for admins (awsdocs/
 * aws-cloudhsm-user-guide, doc_source/quorum-auth-chsm-cli-admin.md, commit e9cbb77), without the indentation of the page.
 */
const published = (name: string) => readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8')

test('the published token of three HSMs is read: its service is that of its records', () => {
  const { service, handle, approvalData, signatures } = readApprovalFile(published('published-user-token'))
  assert.deepEqual([service, handle, signatures], ['user', undefined, []])
  const records = recordsIn(approvalData) ?? []
  assert.equal(records.length, 3)
  for (const record of records) {
    assert.deepEqual([serviceIn(record), usernameIn(record)], ['user', 'admin'])
    assert.equal(new Date(unixSecondsIn(record) * 1000).toISOString(), '2023-02-11T02:01:02.000Z')
  }
})

test('the published token is written byte for byte, but for the service that files have named since', () => {
  const file = published('published-user-token')
  const records = recordsIn(readApprovalFile(file).approvalData) ?? []
  const ours = approvalFile('user', undefined, records)
  assert.equal(ours.replace('  "service": "user-management",\n', ''), file)
})

test('the published signed token is read: who signs for an admin service is an admin', () => {
  const { signatures } = readApprovalFile(published('published-user-token-signed'))
  assert.deepEqual(
    signatures.map(({ username, role, signature: made }) => [username, role, made.length]),
    [
      ['admin2', 'admin', 256],
      ['admin3', 'admin', 256],
    ],
  )
})
