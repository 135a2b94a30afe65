/** Ed25519ph (RFC 8032 §5.1) over the SHA-512 digest of a message. */
import type { KeyObject } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'

const unavailable = () => new HsmError('MechanismInvalid', 'Ed25519ph is not available on this HSM')

export function signEd25519ph(_privateKey: KeyObject, _digest: Uint8Array): Uint8Array {
  throw unavailable()
}

export function verifyEd25519ph(_publicKey: KeyObject, _digest: Uint8Array, _signature: Uint8Array): boolean {
  throw unavailable()
}
