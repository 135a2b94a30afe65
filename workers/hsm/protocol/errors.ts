/** What an HSM refuses with. `code` is for programs, `message` for people; neither holds a secret. */
export const HSM_ERROR_CODES = [
  'InvalidRequest',
  'UnknownOperation',
  'NotAuthenticated',
  'PermissionDenied',
  'LoginFailed',
  'UserLocked',
  'MfaRequired',
  'QuorumRequired',
  'QuorumFailed',
  'UserExists',
  'UserNotFound',
  'KeyNotFound',
  'KeyFunctionNotPermitted',
  'MechanismInvalid',
  'PolicyRefused',
  'LimitExceeded',
  'NotEnoughCopies',
  'NotActivated',
  'AlreadyActivated',
  'WrongState',
  'CertificateInvalid',
  'BackupInvalid',
  'DecryptionFailed',
  'Busy',
  'Draining',
  'StorageFailed',
  'Internal',
] as const
export type HsmErrorCode = (typeof HSM_ERROR_CODES)[number]

/** A refusal of an HSM, on both sides of the wire. */
export class HsmError extends Error {
  readonly code: HsmErrorCode

  constructor(code: HsmErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'HsmError'
    this.code = code
  }
}

/** The connection to an HSM broke or could not be made: nothing is known of requests that were under way. */
export class ConnectionLost extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ConnectionLost'
  }
}
