import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientOperations, type ClientOperations } from '../protocol/client-operations.ts'
import { authorize, PERMISSIONS, requireUnlimited, type Caller } from './roles.ts'

type Operation = keyof ClientOperations
const callers = {
  nobody: undefined,
  admin: { username: 'a', role: 'admin' },
  'crypto-user': { username: 'c', role: 'crypto-user' },
} as const satisfies Record<string, Caller | undefined>

/** Who may, by the permission matrix of the reference: nobody logged in, admin, crypto user. */
const matrix: Record<Operation, readonly [nobody: boolean, admin: boolean, cryptoUser: boolean]> = {
  hello: [true, true, true],
  activate: [true, true, true],
  login: [true, true, true],
  logout: [true, true, true],
  'hsm-info': [true, true, true],
  'user-list': [true, true, true],
  'user-create': [false, true, false],
  'user-delete': [false, true, false],
  'user-change-password': [false, true, true],
  'key-generate-aes': [false, false, true],
  'key-generate-rsa': [false, false, true],
  'key-generate-ec': [false, false, true],
  'key-find': [false, true, true],
  'key-delete': [false, false, true],
  'key-public': [false, false, true],
  sign: [false, false, true],
  verify: [false, false, true],
  encrypt: [false, false, true],
  decrypt: [false, false, true],
  random: [false, false, true],
}
const beforeActivation: readonly string[] = ['hello', 'activate', 'logout', 'hsm-info', 'user-list']

/** What limited-write mode refuses: all that changes users, keys that stay, or policies (data-plane §8). */
const whenLimited: Partial<Record<Operation, 'refused' | 'session-objects'>> = {
  activate: 'refused',
  'user-create': 'refused',
  'user-delete': 'refused',
  'user-change-password': 'refused',
  'key-generate-aes': 'session-objects',
  'key-generate-rsa': 'session-objects',
  'key-generate-ec': 'session-objects',
  'key-delete': 'session-objects',
}

function outcome(work: () => unknown): string {
  try {
    work()
    return 'allowed'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'crashed'
  }
}

for (const operation of Object.keys(clientOperations) as Operation[]) {
  const [nobody, admin, cryptoUser] = matrix[operation]
  test(`${operation}: nobody ${nobody}, admin ${admin}, crypto user ${cryptoUser}`, () => {
    const of = (caller: Caller | undefined) => outcome(() => authorize(operation, caller, true))
    assert.equal(of(callers.nobody), nobody ? 'allowed' : 'NotAuthenticated')
    assert.equal(of(callers.admin), admin ? 'allowed' : 'PermissionDenied')
    assert.equal(of(callers['crypto-user']), cryptoUser ? 'allowed' : 'PermissionDenied')
  })

  const limited = whenLimited[operation] ?? 'works'
  test(`${operation} in limited-write mode: ${limited}`, () => {
    assert.equal(PERMISSIONS[operation].whenLimited, limited)
    const answer = outcome(() => requireUnlimited(operation, true))
    assert.equal(answer, limited === 'refused' ? 'PolicyRefused' : 'allowed')
    assert.equal(
      outcome(() => requireUnlimited(operation, false)),
      'allowed',
    )
  })

  const early = beforeActivation.includes(operation)
  test(`${operation} is ${early ? '' : 'not '}answered before activation`, () => {
    const answer = outcome(() => authorize(operation, callers.nobody, false))
    assert.equal(answer, early ? 'allowed' : 'NotActivated')
  })
}
