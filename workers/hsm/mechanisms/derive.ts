/** Deriving keys: ECDH with the X9.63 KDF, and the counter-mode KDF of NIST SP 800-108. */
import { createHash, diffieHellman } from 'node:crypto'
import type { z } from 'zod'
import type { Place } from '../policy/mechanism-policy.ts'
import { HsmError } from '../protocol/errors.ts'
import { HASHES, type deriveMechanism, type HashName, type KdfField } from '../protocol/mechanisms.ts'
import { pointBytes } from './curves.ts'
import { DIGEST_BYTES } from './digest.ts'
import { publicKeyOfPoint } from './import-public.ts'
import { macStream } from './mac.ts'
import type { UsableKey } from './mechanism.ts'
import { requireUse } from './require-use.ts'

export type DeriveParams = z.output<typeof deriveMechanism>

export interface DeriveRequest extends Place {
  readonly key: UsableKey
  /** Bytes of the key to be. */
  readonly lengthBytes: number
}

/** Throws MechanismInvalid, KeyFunctionNotPermitted or InvalidRequest. The caller wipes what it gets. */
export function deriveMaterial(params: DeriveParams, { key, lengthBytes, ...place }: DeriveRequest): Buffer {
  if (params.name === 'ecdh-x963') {
    requireUse('derive', { name: params.name, keyType: 'ec' }, key, place)
    return ecdh(params, key, lengthBytes)
  }
  const keyType = params.prf === 'aes-cmac' ? 'aes' : 'generic-secret'
  requireUse('derive', { name: params.name, keyType, secret: true }, key, place)
  return counterKdf(params, key, lengthBytes)
}

function ecdh(params: Extract<DeriveParams, { name: 'ecdh-x963' }>, key: UsableKey, lengthBytes: number): Buffer {
  const { curve } = key
  if (!curve || curve === 'Ed25519') {
    throw new HsmError('MechanismInvalid', 'ecdh-x963 takes a key of a Weierstrass curve; Ed25519 keys only sign')
  }
  const point = unwrapOctetString(params.publicKey, pointBytes(curve))
  const shared = diffieHellman({ privateKey: key.object, publicKey: publicKeyOfPoint(curve, point) })
  try {
    return x963(params.hash, shared, params.sharedInfo ?? new Uint8Array(), lengthBytes)
  } finally {
    shared.fill(0)
  }
}

/** PKCS#11 lets the other side's point come bare or as a DER OCTET STRING (§2.3.17). */
function unwrapOctetString(value: Uint8Array, length: number): Uint8Array {
  const header = length < 128 ? [0x04, length] : [0x04, 0x81, length]
  const isDer = value.length === header.length + length && header.every((byte, at) => value[at] === byte)
  return isDer ? value.subarray(header.length) : value
}

/** ANSI X9.63 KDF: SEC 1 v2 §3.6.1. */
export function x963(hash: HashName, shared: Uint8Array, sharedInfo: Uint8Array, lengthBytes: number): Buffer {
  const key = Buffer.alloc(lengthBytes)
  const counter = Buffer.alloc(4)
  for (let at = 0, n = 1; at < lengthBytes; at += DIGEST_BYTES[hash], n++) {
    counter.writeUInt32BE(n)
    const block = createHash(hash).update(shared).update(counter).update(sharedInfo).digest()
    block.copy(key, at)
    block.fill(0)
  }
  return key
}

/** SP 800-108r1 §4.1. Throws InvalidRequest when the counter or the length field is too short for that many bytes. */
function counterKdf(
  { prf, data }: Extract<DeriveParams, { name: 'sp800-108-counter' }>,
  key: UsableKey,
  lengthBytes: number,
): Buffer {
  const hash = HASHES.find((name) => prf === `hmac-${name}`)
  const blockBytes = hash ? DIGEST_BYTES[hash] : 16
  const rounds = Math.ceil(lengthBytes / blockBytes)
  const pieces = data.map((field) => pieceOf(field, lengthBytes, rounds))
  const derived = Buffer.alloc(lengthBytes)
  for (let n = 1; n <= rounds; n++) {
    const mac = macStream(hash ? { name: 'hmac', hash } : { name: 'aes-cmac' }, key.object)
    for (const piece of pieces) mac.update(typeof piece === 'number' ? bigEndian(n, piece) : piece)
    const block = mac.finish()
    block.copy(derived, (n - 1) * blockBytes)
    block.fill(0)
  }
  return derived
}

/** What a field feeds: its bytes, or for the counter its width in bytes. */
function pieceOf(field: KdfField, lengthBytes: number, rounds: number): Uint8Array | number {
  if (field.field === 'bytes') return field.value
  const value = field.field === 'counter' ? rounds : lengthBytes * 8
  if (value >= 2 ** field.bits) {
    throw new HsmError('InvalidRequest', `the ${field.field} of the derivation does not fit ${field.bits} bits`)
  }
  return field.field === 'counter' ? field.bits / 8 : bigEndian(value, field.bits / 8)
}

function bigEndian(value: number, length: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.subarray(8 - length)
}
