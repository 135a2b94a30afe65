/**
 * What goes wrong on the client's side of the wire. What an HSM refuses with is an HsmError
 * (workers/hsm/protocol/errors.ts) and reaches the caller unchanged.
 */
export type ClientErrorCode =
  /** No HSM of the cluster answered in time; the message says which addresses were tried and why each failed. */
  | 'NoHsmReachable'
  /** An HSM answered, but its certificate does not come from the CA that was given. */
  | 'CertificateNotTrusted'
  /** The CA file cannot be read or holds no certificate. */
  | 'TrustInvalid'
  /** The HSM belongs to another cluster than the one that was asked for. */
  | 'WrongCluster'
  /** The connection broke after a write was sent and before its answer: it may have happened or not. */
  | 'OutcomeUnknown'
  /** A session key died with the connection it was made on. */
  | 'SessionKeyLost'
  /** An operation in parts died with the connection it was begun on: begin it again. */
  | 'OperationLost'
  /** An operation in parts that was finished or cancelled, or that failed. */
  | 'OperationOver'
  /** A login while somebody is logged in. */
  | 'AlreadyLoggedIn'
  /** A logout came while the login was under way. */
  | 'LoggedOut'
  /** Servers or times that no client can be made with. */
  | 'InvalidOptions'
  /** The client was closed. */
  | 'Closed'

export class ClientError extends Error {
  readonly code: ClientErrorCode

  constructor(code: ClientErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ClientError'
    this.code = code
  }
}
