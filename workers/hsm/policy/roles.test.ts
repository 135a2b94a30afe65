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
  'mfa-token-generate': [true, true, true],
  logout: [true, true, true],
  'hsm-info': [true, true, true],
  'user-list': [true, true, true],
  'user-create': [false, true, false],
  'user-delete': [false, true, false],
  'user-change-password': [false, true, true],
  'user-change-mfa': [false, true, true],
  'user-register-quorum-key': [false, true, true],
  'quorum-list-values': [true, true, true],
  'quorum-set-value': [false, true, false],
  'quorum-token-generate': [false, true, true],
  'quorum-approve': [false, true, true],
  'quorum-token-list': [false, true, true],
  'quorum-token-delete': [false, true, false],
  'quorum-token-drop': [false, true, true],
  'mtls-register-trust-anchor': [false, true, false],
  'mtls-deregister-trust-anchor': [false, true, false],
  'mtls-list-trust-anchors': [true, true, true],
  'mtls-get-enforcement': [false, true, true],
  'mtls-set-enforcement': [false, true, false],
  'key-generate-aes': [false, false, true],
  'key-generate-rsa': [false, false, true],
  'key-generate-ec': [false, false, true],
  'key-generate-des3': [false, false, true],
  'key-generate-generic-secret': [false, false, true],
  'key-generate-ml-dsa': [false, false, true],
  'key-generate-ml-kem': [false, false, true],
  'key-encapsulate': [false, false, true],
  'key-decapsulate': [false, false, true],
  'key-find': [false, true, true],
  'key-describe': [false, true, true],
  'key-delete': [false, false, true],
  'key-public': [false, false, true],
  'key-value': [false, false, true],
  'key-set-attribute': [false, true, true],
  'key-share': [false, false, true],
  'key-unshare': [false, false, true],
  'key-import': [false, false, true],
  'key-wrap': [false, false, true],
  'key-unwrap': [false, false, true],
  'key-derive': [false, false, true],
  sign: [false, false, true],
  verify: [false, false, true],
  encrypt: [false, false, true],
  decrypt: [false, false, true],
  digest: [false, false, true],
  random: [false, false, true],
  'part-begin': [false, false, true],
  'part-update': [false, false, true],
  'part-finish': [false, false, true],
  'part-cancel': [false, false, true],
}
const beforeActivation: readonly string[] = [
  'hello',
  'activate',
  'logout',
  'hsm-info',
  'user-list',
  'quorum-list-values',
  'mtls-list-trust-anchors',
]

/** What limited-write mode refuses: all that changes users, keys that stay, or policies (data-plane §8). */
const whenLimited: Partial<Record<Operation, 'refused' | 'session-objects'>> = {
  activate: 'refused',
  'user-create': 'refused',
  'user-delete': 'refused',
  'user-change-password': 'refused',
  'user-change-mfa': 'refused',
  'user-register-quorum-key': 'refused',
  'quorum-set-value': 'refused',
  'quorum-token-generate': 'refused',
  'quorum-approve': 'refused',
  'mtls-register-trust-anchor': 'refused',
  'mtls-deregister-trust-anchor': 'refused',
  'mtls-set-enforcement': 'refused',
  'key-set-attribute': 'refused',
  'key-share': 'refused',
  'key-unshare': 'refused',
  'key-generate-aes': 'session-objects',
  'key-generate-rsa': 'session-objects',
  'key-generate-ec': 'session-objects',
  'key-generate-des3': 'session-objects',
  'key-generate-generic-secret': 'session-objects',
  'key-generate-ml-dsa': 'session-objects',
  'key-generate-ml-kem': 'session-objects',
  'key-encapsulate': 'session-objects',
  'key-decapsulate': 'session-objects',
  'key-import': 'session-objects',
  'key-unwrap': 'session-objects',
  'key-derive': 'session-objects',
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
    for (const caller of Object.values(callers)) {
      assert.equal(
        outcome(() => authorize(operation, caller, false)),
        early ? 'allowed' : 'NotActivated',
      )
    }
  })
}
