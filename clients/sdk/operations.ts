/** What the client may do with each operation of the client port when an HSM does not answer or another would do. */
import type { Operation } from './link.ts'

interface Habit {
  /**
   * Whether a request whose answer was lost may be sent again: it changes nothing, or changing it twice is the same as
   * once. Otherwise the caller is told that the outcome is unknown.
   */
  readonly repeatable: boolean
  /** Asked before login: any connection will do. */
  readonly anyone?: true
}

export const HABITS = {
  hello: { repeatable: true, anyone: true },
  activate: { repeatable: false, anyone: true },
  login: { repeatable: true, anyone: true },
  'mfa-token-generate': { repeatable: true, anyone: true },
  logout: { repeatable: true },
  'hsm-info': { repeatable: true, anyone: true },
  'user-list': { repeatable: true, anyone: true },
  'user-create': { repeatable: false },
  'user-delete': { repeatable: true },
  'user-change-password': { repeatable: true },
  'user-change-mfa': { repeatable: true },
  'user-register-quorum-key': { repeatable: true },
  'quorum-list-values': { repeatable: true, anyone: true },
  'quorum-set-value': { repeatable: true },
  'quorum-token-generate': { repeatable: true },
  'quorum-approve': { repeatable: true },
  'quorum-token-list': { repeatable: true },
  'quorum-token-delete': { repeatable: true },
  'quorum-token-drop': { repeatable: true },
  'mtls-register-trust-anchor': { repeatable: false },
  'mtls-deregister-trust-anchor': { repeatable: true },
  'mtls-list-trust-anchors': { repeatable: true, anyone: true },
  'mtls-get-enforcement': { repeatable: true },
  'mtls-set-enforcement': { repeatable: true },
  'key-generate-aes': { repeatable: false },
  'key-generate-rsa': { repeatable: false },
  'key-generate-ec': { repeatable: false },
  'key-generate-des3': { repeatable: false },
  'key-generate-generic-secret': { repeatable: false },
  'key-generate-ml-dsa': { repeatable: false },
  'key-generate-ml-kem': { repeatable: false },
  'key-encapsulate': { repeatable: false },
  'key-decapsulate': { repeatable: false },
  'key-find': { repeatable: true },
  'key-describe': { repeatable: true },
  'key-delete': { repeatable: true },
  'key-public': { repeatable: true },
  'key-value': { repeatable: true },
  'key-set-attribute': { repeatable: true },
  'key-share': { repeatable: true },
  'key-unshare': { repeatable: true },
  'key-import': { repeatable: false },
  'key-wrap': { repeatable: true },
  'key-unwrap': { repeatable: false },
  'key-derive': { repeatable: false },
  sign: { repeatable: true },
  verify: { repeatable: true },
  encrypt: { repeatable: true },
  decrypt: { repeatable: true },
  digest: { repeatable: true },
  random: { repeatable: true },
  'part-begin': { repeatable: true },
  'part-update': { repeatable: false },
  'part-finish': { repeatable: false },
  'part-cancel': { repeatable: true },
} as const satisfies Record<Operation, Habit>

export const habitOf = (op: Operation): Habit => HABITS[op]
