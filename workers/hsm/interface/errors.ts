/** What each error code of the protocol means to whoever writes a client. */
import type { HsmErrorCode } from '../protocol/errors.ts'

export const ERROR_MEANINGS = {
  InvalidRequest: 'The parameters are not as the operation wants them, or `hello` was not the first request.',
  UnknownOperation: 'This port has no such operation.',
  NotAuthenticated: 'The operation needs a login on this connection.',
  PermissionDenied: 'Whoever is logged in may not do this.',
  LoginFailed: 'User name, role or password is wrong; which of them is not told.',
  UserLocked: 'Too many wrong passwords: an admin must change the password.',
  UserExists: 'There is a user of that name.',
  UserNotFound: 'There is no such user.',
  KeyNotFound: 'There is no such key, or it is not for the caller to see; or it has not reached this HSM yet.',
  KeyFunctionNotPermitted: "The key's class, type or attributes do not allow this.",
  MechanismInvalid: 'The mechanism does not exist for this key, or the mode of the cluster refuses it.',
  PolicyRefused: 'The type or the mode of the cluster does not allow this.',
  LimitExceeded: 'A published limit is reached: keys, users, bytes.',
  NotEnoughCopies: 'The key must be on at least two HSMs, and is not; see `requireTwoCopies`.',
  NotActivated: 'The cluster has no admin yet: `activate` comes first.',
  AlreadyActivated: 'The cluster has its first admin.',
  WrongState: 'Not now: the text says what is in the way.',
  CertificateInvalid: 'A certificate or trust anchor breaks a rule, which the text names.',
  BackupInvalid: 'The backup is damaged, sealed for another fleet, or of another mode.',
  DecryptionFailed: 'The ciphertext or its tag does not fit the key.',
  Busy: 'Throttled: try again in a moment, up to three times.',
  Draining: 'This HSM takes no more requests: ask another one.',
  StorageFailed: 'The HSM could not write. Unless the text says otherwise, nothing was changed.',
  Internal: 'A defect of the HSM: its log says more.',
} as const satisfies Record<HsmErrorCode, string>
