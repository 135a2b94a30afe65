/** How the vectors of each family are put to an HSM over its client port. */
import { createECDH } from 'node:crypto'
import type { ClientOperations } from '../../protocol/client-operations.ts'
import type { Connection } from '../../protocol/connection.ts'
import type { AttributeTemplate } from '../../protocol/attributes.ts'
import {
  MAX_GCM_IV_BYTES,
  type CipherStreamMechanism,
  type HashName,
  type SignMechanism,
} from '../../protocol/mechanisms.ts'
import { CURVE } from '../curves.ts'
import { x963 } from '../derive.ts'
import { DIGEST_BYTES } from '../digest.ts'
import type { Group, Outcome, Vector } from './wycheproof.ts'

type Hsm = Connection<ClientOperations>
export type Run = (hsm: VectorHsm, vector: Vector, group: Group) => Promise<Outcome | boolean>

type KeyClass = 'secret-key' | 'private-key' | 'public-key'
type KeyType = 'aes' | 'generic-secret' | 'rsa' | 'ec' | 'ml-dsa'

/** An HSM with the keys of a file's vectors, each brought in once, as session keys that are gone with the file. */
export class VectorHsm {
  readonly #hsm: Hsm
  readonly #keys = new Map<string, Promise<string>>()

  constructor(hsm: Hsm) {
    this.#hsm = hsm
  }

  get call(): Hsm['call'] {
    return this.#hsm.call.bind(this.#hsm)
  }

  /** The handle of a key. Throws what the HSM refuses the key with. */
  key(keyClass: KeyClass, type: KeyType, bytes: Uint8Array, attributes: AttributeTemplate): Promise<string> {
    const id = `${keyClass} ${type} ${Buffer.from(bytes).toString('base64')} ${JSON.stringify(attributes)}`
    const known = this.#keys.get(id)
    if (known) return known
    const template = { token: false, sensitive: false, extractable: true, ...attributes }
    const made = this.call('key-import', {
      class: keyClass,
      type,
      key: bytes,
      attributes: keyClass === 'public-key' ? { token: false, ...attributes } : template,
      defaults: 'pkcs11',
      ...ONE_COPY,
    }).then(({ key }) => key.handle)
    this.#keys.set(id, made)
    return made
  }

  async clear(): Promise<void> {
    const made = await Promise.allSettled(this.#keys.values())
    this.#keys.clear()
    for (const key of made) if (key.status === 'fulfilled') await this.call('key-delete', { handle: key.value })
  }
}

const ONE_COPY = { requireTwoCopies: false } as const
const need = (bytes: Buffer | undefined): Buffer => {
  if (!bytes) throw new Error('the vector lacks a field')
  return bytes
}

async function signature(
  hsm: VectorHsm,
  handle: string,
  mechanism: SignMechanism,
  data: Uint8Array,
  given: Uint8Array,
): Promise<boolean> {
  const { valid } = await hsm.call('verify', { handle, mechanism, data, signature: given, ...ONE_COPY })
  return valid
}

export const cbcPad: Run = async (hsm, { key, iv, msg, ct }) => {
  const handle = await hsm.key('secret-key', 'aes', need(key), { encrypt: true, decrypt: true })
  const mechanism: CipherStreamMechanism = { name: 'aes-cbc-pad', iv: need(iv) }
  const { plaintext } = await hsm.call('decrypt', { handle, mechanism, data: need(ct), ...ONE_COPY })
  const { ciphertext } = await hsm.call('encrypt', { handle, mechanism, data: need(msg), ...ONE_COPY })
  return need(msg).equals(plaintext) && need(ct).equals(ciphertext)
}

export const LONG_IV = 'OpenSSL takes an IV of at most 128 bytes'

export const gcm: Run = async (hsm, { key, iv, aad, msg, ct, tag }, { tagSize }) => {
  if (need(iv).length > MAX_GCM_IV_BYTES) return { skipped: LONG_IV }
  const handle = await hsm.key('secret-key', 'aes', need(key), { decrypt: true })
  if (tagSize !== 128) throw new Error('a tag of another length')
  const mechanism = { name: 'aes-gcm', iv: need(iv), aad: need(aad) } as const
  const data = Buffer.concat([need(ct), need(tag)])
  const { plaintext } = await hsm.call('decrypt', { handle, mechanism, data, ...ONE_COPY })
  return need(msg).equals(plaintext)
}

/** A code of full length; AWS's mechanisms do not cut it. */
export const mac =
  (type: 'aes' | 'generic-secret', mechanism: SignMechanism, bits: number): Run =>
  async (hsm, { key, msg, tag }, { tagSize }) => {
    if (tagSize !== bits) return { skipped: 'the code is cut short' }
    const handle = await hsm.key('secret-key', type, need(key), { verify: true, sign: true })
    const made = await hsm.call('sign', { handle, mechanism, data: need(msg), ...ONE_COPY })
    const valid = await signature(hsm, handle, mechanism, need(msg), need(tag))
    return valid && need(tag).equals(made.signature)
  }

/** Unwrapped, and wrapped again: the same bytes. */
export const keyWrap =
  (name: 'aes-no-pad' | 'aes-zero-pad'): Run =>
  async (hsm, { key, msg, ct }) => {
    const handle = await hsm.key('secret-key', 'aes', need(key), { wrap: true, unwrap: true })
    const unwrapped = await hsm.call('key-unwrap', {
      handle,
      mechanism: { name },
      wrapped: need(ct),
      class: 'secret-key',
      type: 'generic-secret',
      attributes: { token: false, sensitive: false, extractable: true },
      defaults: 'pkcs11',
      ...ONE_COPY,
    })
    const payload = unwrapped.key.handle
    try {
      const { value } = await hsm.call('key-value', { handle: payload })
      const again = await hsm.call('key-wrap', {
        handle: payload,
        wrappingHandle: handle,
        mechanism: { name },
        ...ONE_COPY,
      })
      return need(msg).equals(value) && need(ct).equals(again.wrapped)
    } finally {
      await hsm.call('key-delete', { handle: payload })
    }
  }

/** The public key comes in as a key of its own first; then its point is used. What is derived is the KDF of the secret. */
export const ecdh =
  (curve: 'P-256' | 'P-384'): Run =>
  async (hsm, vector) => {
    const { spkiPrefix, bytes } = CURVE[curve]
    const publicHandle = await hsm.key('public-key', 'ec', need(vector.public), {})
    const { spki } = await hsm.call('key-public', { handle: publicHandle })
    const handle = await hsm.key('private-key', 'ec', pkcs8Of(curve, need(vector.private)), { derive: true })
    const derived = await hsm.call('key-derive', {
      handle,
      mechanism: { name: 'ecdh-x963', hash: 'sha256', publicKey: spki.subarray(spkiPrefix.length) },
      type: 'generic-secret',
      lengthBytes: 40,
      attributes: { token: false, sensitive: false, extractable: true },
      defaults: 'pkcs11',
      ...ONE_COPY,
    })
    const { value } = await hsm.call('key-value', { handle: derived.key.handle })
    await hsm.call('key-delete', { handle: derived.key.handle })
    const shared = need(vector.shared)
    return shared.length === bytes && x963('sha256', shared, Buffer.alloc(0), 40).equals(value)
  }

/** DER of up to 255 bytes. */
function tlv(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const header = content.length < 128 ? [tag, content.length] : [tag, 0x81, content.length]
  return Buffer.concat([Buffer.from(header), content])
}

/** PrivateKeyInfo of a scalar (RFC 5915, RFC 5958), with its public half. */
function pkcs8Of(curve: 'P-256' | 'P-384', scalar: Buffer): Buffer {
  const { bytes, openssl, spkiPrefix } = CURVE[curve]
  const d = Buffer.concat([Buffer.alloc(bytes), scalar]).subarray(-bytes)
  const pair = createECDH(openssl)
  pair.setPrivateKey(d)
  const version = (n: number) => Buffer.from([2, 1, n])
  // Behind the outer header, a SubjectPublicKeyInfo has its algorithm, as long as its second byte says.
  const algorithm = spkiPrefix.subarray(2, 4 + spkiPrefix.readUInt8(3))
  const publicHalf = tlv(0xa1, tlv(0x03, Buffer.alloc(1), pair.getPublicKey()))
  return tlv(0x30, version(0), algorithm, tlv(0x04, tlv(0x30, version(1), tlv(0x04, d), publicHalf)))
}

export const signed =
  (type: 'rsa' | 'ec' | 'ml-dsa', mechanism: (group: Group) => SignMechanism): Run =>
  async (hsm, { msg, sig }, group) => {
    const handle = await hsm.key('public-key', type, need(group.publicKeyDer), { verify: true })
    return signature(hsm, handle, mechanism(group), need(msg), need(sig))
  }

/** Signatures in DER: what is not one cannot be asked of an HSM that takes r||s. */
export const ecdsaDer =
  (curve: 'P-256', hash: HashName): Run =>
  async (hsm, { msg, sig }, group) => {
    const rs = fromDer(need(sig), CURVE[curve].bytes)
    if (!rs) return { skipped: 'the signature is not DER of two numbers that fit r||s' }
    const handle = await hsm.key('public-key', 'ec', need(group.publicKeyDer), { verify: true })
    return signature(hsm, handle, { name: 'ecdsa', hash }, need(msg), rs)
  }

/** r||s of a signature below 128 bytes in strict DER. */
function fromDer(der: Buffer, width: number): Buffer | undefined {
  if (der.length < 8 || der[0] !== 0x30 || der[1] !== der.length - 2) return undefined
  const parts: Buffer[] = []
  let at = 2
  while (at < der.length) {
    const length = der[at + 1]
    if (der[at] !== 2 || length === undefined || length === 0 || at + 2 + length > der.length) return undefined
    const number = der.subarray(at + 2, at + 2 + length)
    const padded = number.length > 1 && number[0] === 0 && number.readUInt8(1) < 128
    if (number.readUInt8(0) > 127 || padded) return undefined
    const value = number[0] === 0 ? number.subarray(1) : number
    if (value.length > width) return undefined
    parts.push(Buffer.concat([Buffer.alloc(width - value.length), value]))
    at += 2 + length
  }
  return parts.length === 2 ? Buffer.concat(parts) : undefined
}

export const mlDsaVerify: Run = async (hsm, { msg, sig, ctx }, group) => {
  const handle = await hsm.key('public-key', 'ml-dsa', need(group.publicKeyDer), { verify: true })
  return signature(hsm, handle, { name: 'ml-dsa', ...(ctx && { context: ctx }) }, need(msg), need(sig))
}

/**
 * The HSM's signatures are hedged: they differ from the vector's, which are deterministic. Both verify with the public
 * half. A vector without a message has its μ.
 */
export const mlDsaSign: Run = async (hsm, { msg, mu, ctx, sig }, group) => {
  const handle = await hsm.key('private-key', 'ml-dsa', mlDsa44Of(need(group.privateSeed)), { sign: true })
  const { spki } = await hsm.call('key-public', { handle })
  const open = await hsm.key('public-key', 'ml-dsa', spki, { verify: true })
  const mechanism: SignMechanism = msg
    ? { name: 'ml-dsa', ...(ctx && { context: ctx }) }
    : { name: 'ml-dsa', dataType: 'external-mu' }
  const data = msg ?? need(mu)
  const made = await hsm.call('sign', { handle, mechanism, data, ...ONE_COPY })
  return (
    (await signature(hsm, open, mechanism, data, made.signature)) &&
    (await signature(hsm, open, mechanism, data, need(sig)))
  )
}

/** PrivateKeyInfo of a seed for ML-DSA-44 (RFC 9881 §6), whatever the seed's length. */
const mlDsa44Of = (seed: Buffer): Buffer =>
  tlv(0x30, Buffer.from([2, 1, 0]), tlv(0x30, Buffer.from('0609608648016503040311', 'hex')), tlv(0x04, tlv(0x80, seed)))

export const oaep =
  (hash: HashName): Run =>
  async (hsm, { ct, msg, label }, group) => {
    const handle = await hsm.key('private-key', 'rsa', need(group.privateKeyPkcs8), { decrypt: true })
    const mechanism = { name: 'rsa-oaep', hash, label: need(label) } as const
    const { plaintext } = await hsm.call('decrypt', { handle, mechanism, data: need(ct), ...ONE_COPY })
    return need(msg).equals(plaintext)
  }

/**
 * A bad padding is rejected implicitly: there is an answer, always the same, that has nothing to do with what lies behind
 * the padding. That counts as refused.
 */
export const rsaPkcs1: Run = async (hsm, { ct, msg, result }, group) => {
  const handle = await hsm.key('private-key', 'rsa', need(group.privateKeyPkcs8), { decrypt: true })
  const ask = () => hsm.call('decrypt', { handle, mechanism: { name: 'rsa-pkcs' }, data: need(ct), ...ONE_COPY })
  const { plaintext } = await ask()
  const again = await ask()
  if (!Buffer.from(plaintext).equals(again.plaintext)) throw new Error('two answers for one ciphertext')
  if (result === 'valid') return need(msg).equals(plaintext)
  // Without padding the block is seen: what is behind its first zero must not be the answer.
  const block = await hsm.call('decrypt', { handle, mechanism: { name: 'rsa-x509' }, data: need(ct), ...ONE_COPY })
  const zero = block.plaintext.indexOf(0, 2)
  const behind = Buffer.from(zero === -1 ? block.plaintext : block.plaintext.subarray(zero + 1))
  return behind.length > 0 && behind.equals(plaintext)
}

export const bitsOf = (hash: HashName): number => 8 * DIGEST_BYTES[hash]
