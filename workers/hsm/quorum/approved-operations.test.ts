import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../policy/roles.ts'
import { clientOperations, type ClientOperations } from '../protocol/client-operations.ts'
import { needsOf } from './approved-operations.ts'

const ADMIN: Caller = { username: 'admin', role: 'admin' }
const ONE = '0x0000000000000001'
const TWO = '0x0000000000000002'
const alice = { username: 'alice', role: 'crypto-user' }
const manage = [{ service: 'key-management', handle: ONE }]
const use = [{ service: 'key-usage', handle: ONE }]

const cases: readonly (readonly [keyof ClientOperations, unknown, readonly unknown[], Caller?])[] = [
  ['user-create', alice, [{ service: 'user' }]],
  ['user-delete', alice, [{ service: 'user' }]],
  ['user-change-password', alice, [{ service: 'user' }]],
  ['user-change-password', alice, [], { username: 'alice', role: 'crypto-user' }],
  ['user-change-mfa', alice, [{ service: 'user' }]],
  ['user-change-mfa', ADMIN, []],
  ['quorum-set-value', {}, [{ service: 'quorum' }]],
  ['mtls-register-trust-anchor', {}, [{ service: 'cluster' }]],
  ['mtls-deregister-trust-anchor', {}, [{ service: 'cluster' }]],
  ['mtls-set-enforcement', {}, [{ service: 'cluster' }]],
  ['key-wrap', { handle: ONE, wrappingHandle: TWO }, [...manage, { service: 'key-management', handle: TWO }]],
  ['key-wrap', { handle: ONE, wrappingHandle: ONE }, manage],
  ['key-unwrap', { handle: ONE }, manage],
  ['key-decapsulate', { handle: ONE }, manage],
  ['key-share', { handle: ONE }, manage],
  ['key-unshare', { handle: ONE }, manage],
  ['key-set-attribute', { handle: ONE }, manage],
  ['key-value', { handle: ONE }, manage],
  ['sign', { handle: ONE }, use],
  ['part-begin', { use: 'sign', handle: ONE }, use],
  ['part-begin', { use: 'verify', handle: ONE }, []],
  ['decrypt', { handle: ONE, mechanism: { name: 'rsa-x509' } }, use],
  ['decrypt', { handle: ONE, mechanism: { name: 'rsa-oaep' } }, []],
]
for (const [op, params, needs, caller = ADMIN] of cases) {
  test(`${op} ${JSON.stringify(params)} by ${caller.username} needs ${JSON.stringify(needs)}`, () => {
    assert.deepEqual(needsOf(op)?.(params, caller), needs)
  })
}

test('no other operation needs approvals: neither logins, nor deleting or making keys', () => {
  const held = Object.keys(clientOperations).filter((op) => needsOf(op as keyof ClientOperations))
  assert.deepEqual(held.sort(), [...new Set(cases.map(([op]) => op))].sort())
})
