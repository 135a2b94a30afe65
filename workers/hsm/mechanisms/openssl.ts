/**
 * What OpenSSL can and node:crypto does not offer: signing what was hashed before it came, and signing again and again in
 * one context (OpenSSL's own benchmark does so; a new context costs a fifth of a P-256 signature). The functions are those
 * of the OpenSSL inside the running Node, called through `node:ffi` (experimental in Node 26; nodejs/node PR 62345 would
 * make it needless for ECDSA digests). The private key work is OpenSSL's, constant-time as all of it.
 *
 * Every pointer here is made, used and freed within one call, but for keys and the contexts that are used again, which
 * live as long as their KeyObject. Where Node has no ffi, another OpenSSL, or the trial at the start fails, `openssl()`
 * gives nothing and callers do without.
 */
import { createHash, createPublicKey, generateKeyPairSync, verify, type KeyObject } from 'node:crypto'
import { endianness } from 'node:os'
import { Later } from '../later.ts'
import type { HashName } from '../protocol/mechanisms.ts'
import { DIGEST_BYTES } from './digest.ts'
import { Exchange, load, muParams, type Functions, type MuParams } from './openssl-functions.ts'

/**
 * Schemes by OpenSSL's names; `ECDSA` takes a digest of any hash, the ML-DSAs a μ. `RSA-PKCS1 …` is the signature of
 * RFC 8017 §8.2 over a digest of that hash.
 */
export type Scheme = 'ECDSA' | `RSA-PKCS1 ${HashName}` | 'ED25519ph' | 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87'

/** Bytes that hold any of these signatures (ML-DSA-87: 4,627). */
const MAX_SIGNATURE_BYTES = 8_192
/** Those of `RepeatableScheme` are 512 bytes at most (RSA-4096). */
const MAX_REPEATABLE_SIGNATURE_BYTES = 512

const NULL = 0n

const HASH_FUNCTION = { sha1: 'SHA1', sha224: 'SHA224', sha256: 'SHA256', sha384: 'SHA384', sha512: 'SHA512' } as const

/** A key that OpenSSL has read. */
interface ReadKey {
  readonly pkey: bigint
  /** Contexts in which it signs again and again. */
  readonly signing: Map<Scheme, bigint>
}

class OpenSsl {
  readonly #f: Functions
  readonly #keys = new WeakMap<KeyObject, ReadKey>()
  readonly #unused: FinalizationRegistry<ReadKey>
  readonly #schemes = new Map<Scheme, bigint>()
  readonly #mu: MuParams
  readonly #exchange: Exchange
  /** For signatures that are prepared before they are made: those that none of them uses now. */
  readonly #exchanges: Exchange[] = []

  constructor(functions: Functions) {
    this.#f = functions
    this.#unused = new FinalizationRegistry(({ pkey, signing }) => {
      for (const context of signing.values()) functions.EVP_PKEY_CTX_free(context)
      functions.EVP_PKEY_free(pkey)
    })
    this.#mu = muParams(functions.ffi)
    this.#exchange = new Exchange(functions.ffi, MAX_SIGNATURE_BYTES)
  }

  /** DER for ECDSA, the bytes of the standard for the others. */
  sign(scheme: Scheme, privateKey: KeyObject, digest: Uint8Array): Buffer {
    this.#exchange.put(digest)
    if (isRepeatable(scheme)) return this.#signIn(this.#contextFor(scheme, privateKey), this.#exchange, digest.length)
    return this.#within(privateKey, (context) => {
      this.#require(this.#begin('sign', scheme, context), `${scheme} cannot begin to sign`)
      return this.#signIn(context, this.#exchange, digest.length)
    })
  }

  /**
   * The same for a message, which is hashed at once. `form` makes the signature of what OpenSSL left in memory that the next
   * one overwrites.
   */
  signMessageLater<Signature>(
    scheme: RepeatableScheme,
    privateKey: KeyObject,
    hash: HashName,
    message: Uint8Array,
    form: (made: Buffer) => Signature,
  ): Later<Signature> {
    const context = this.#contextFor(scheme, privateKey)
    const exchange = this.#hashed(hash, message)
    exchange.makeRoom()
    const { lengthAt, digestAt, signatureAt } = exchange
    const { EVP_PKEY_sign: makeSignature } = this.#f
    const digestBytes = BigInt(DIGEST_BYTES[hash])
    let signed = 0
    return new Later(
      () => {
        signed = makeSignature(context, signatureAt, lengthAt, digestAt, digestBytes)
      },
      () => {
        this.#requireSigned(signed)
        const signature = form(exchange.signature())
        this.#exchanges.push(exchange)
        return signature
      },
      privateKey,
    )
  }

  /**
   * A free exchange with the digest of a message in it. SHA256(3) and its like cost 1.2 µs less than EVP_Digest: Node calls
   * functions of at most three arguments faster.
   */
  #hashed(hash: HashName, message: Uint8Array): Exchange {
    const exchange = this.#exchanges.pop() ?? new Exchange(this.#f.ffi, MAX_REPEATABLE_SIGNATURE_BYTES)
    const at = this.#f[HASH_FUNCTION[hash]](message, BigInt(message.length), exchange.digestAt)
    this.#require(at === NULL ? 0 : 1, 'OpenSSL does not hash')
    return exchange
  }

  /**
   * In which a key signs. One context serves all signatures: EVP_PKEY_sign(3) "may be called more than once on the same
   * context". It lives as long as the key.
   */
  #contextFor(scheme: RepeatableScheme, privateKey: KeyObject): bigint {
    const { pkey, signing } = this.#keyOf(privateKey)
    const known = signing.get(scheme)
    if (known !== undefined) return known
    const context = this.#signingContext(scheme, pkey)
    signing.set(scheme, context)
    return context
  }

  #signingContext(scheme: RepeatableScheme, pkey: bigint): bigint {
    const f = this.#f
    const context = this.#contextOf(pkey)
    let ready = f.EVP_PKEY_sign_init(context)
    if (ready === 1 && scheme !== 'ECDSA') {
      ready = f.EVP_PKEY_CTX_ctrl_str(context, 'rsa_padding_mode', 'pkcs1')
      if (ready === 1) ready = f.EVP_PKEY_CTX_ctrl_str(context, 'digest', scheme.slice(RSA_PKCS1.length))
    }
    if (ready !== 1) f.EVP_PKEY_CTX_free(context)
    f.ERR_clear_error()
    this.#require(ready, `${scheme} cannot begin to sign`)
    return context
  }

  #signIn(context: bigint, exchange: Exchange, bytes: number): Buffer {
    const { lengthAt, digestAt, signatureAt } = exchange
    exchange.makeRoom()
    this.#requireSigned(this.#f.EVP_PKEY_sign(context, signatureAt, lengthAt, digestAt, BigInt(bytes)))
    return Buffer.from(exchange.signature())
  }

  #requireSigned(result: number): void {
    if (result === 1) return
    this.#f.ERR_clear_error()
    throw new Error('OpenSSL does not sign')
  }

  verify(scheme: Scheme, publicKey: KeyObject, digest: Uint8Array, signature: Uint8Array): boolean {
    return this.#within(publicKey, (context) => {
      this.#require(this.#begin('verify', scheme, context), `${scheme} cannot begin to verify`)
      const { EVP_PKEY_verify: check } = this.#f
      return check(context, signature, BigInt(signature.length), digest, BigInt(digest.length)) === 1
    })
  }

  #begin(use: 'sign' | 'verify', scheme: Scheme, context: bigint): number {
    const f = this.#f
    if (scheme === 'ECDSA') return use === 'sign' ? f.EVP_PKEY_sign_init(context) : f.EVP_PKEY_verify_init(context)
    const algorithm = this.#algorithm(scheme)
    if (scheme === 'ED25519ph') {
      const begin = use === 'sign' ? f.EVP_PKEY_sign_init_ex2 : f.EVP_PKEY_verify_init_ex2
      return begin(context, algorithm, NULL)
    }
    const begin = use === 'sign' ? f.EVP_PKEY_sign_message_init : f.EVP_PKEY_verify_message_init
    return begin(context, algorithm, this.#mu.address)
  }

  #within<Result>(key: KeyObject, work: (context: bigint) => Result): Result {
    const f = this.#f
    const context = this.#contextOf(this.#keyOf(key).pkey)
    try {
      return work(context)
    } finally {
      f.EVP_PKEY_CTX_free(context)
      // Node reads the same queue of errors.
      f.ERR_clear_error()
    }
  }

  #contextOf(pkey: bigint): bigint {
    const context = this.#f.EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL)
    if (context === NULL) throw new Error('OpenSSL gives no context')
    return context
  }

  /** The schemes that an HSM uses stay fetched. */
  #algorithm(scheme: Scheme): bigint {
    const known = this.#schemes.get(scheme)
    if (known !== undefined) return known
    const fetched = this.#f.EVP_SIGNATURE_fetch(NULL, scheme, NULL)
    if (fetched === NULL) throw new Error(`this OpenSSL has no ${scheme}`)
    this.#schemes.set(scheme, fetched)
    return fetched
  }

  /** Read from DER once, kept as long as the key itself. */
  #keyOf(key: KeyObject): ReadKey {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const isPrivate = key.type === 'private'
    const der = isPrivate ? key.export({ type: 'pkcs8', format: 'der' }) : key.export({ type: 'spki', format: 'der' })
    const bio = this.#f.BIO_new_mem_buf(der, der.length)
    try {
      const read = isPrivate ? this.#f.d2i_PrivateKey_bio : this.#f.d2i_PUBKEY_bio
      const pkey = bio === NULL ? NULL : read(bio, NULL)
      if (pkey === NULL) throw new Error('OpenSSL does not read the key')
      const readKey: ReadKey = { pkey, signing: new Map() }
      this.#keys.set(key, readKey)
      this.#unused.register(key, readKey)
      return readKey
    } finally {
      this.#f.BIO_free(bio)
      der.fill(0)
    }
  }

  #require(result: number, message: string): void {
    if (result !== 1) throw new Error(message)
  }
}

const RSA_PKCS1 = 'RSA-PKCS1 '
/** Those of which one context serves many signatures. */
export type RepeatableScheme = 'ECDSA' | `RSA-PKCS1 ${HashName}`

function isRepeatable(scheme: Scheme): scheme is RepeatableScheme {
  return scheme === 'ECDSA' || scheme.startsWith(RSA_PKCS1)
}

export type { OpenSsl }

let loaded: { readonly value: OpenSsl | undefined } | undefined

/** The functions; nothing where they are not to be had. Decided once, when first asked. */
export function openssl(): OpenSsl | undefined {
  loaded ??= { value: tried() }
  return loaded.value
}

function tried(): OpenSsl | undefined {
  const layoutIsKnown = endianness() === 'LE' && (process.arch === 'x64' || process.arch === 'arm64')
  const version = Number.parseFloat(process.versions.openssl)
  if (!layoutIsKnown || !(version >= 3.5 && version < 4)) return undefined
  try {
    const candidate = new OpenSsl(load())
    return works(candidate) ? candidate : undefined
  } catch {
    return undefined
  }
}

/** A signature by it verifies in node:crypto, and an altered one does not verify in it. */
function works(candidate: OpenSsl): boolean {
  const message = Buffer.from('trial')
  const digest = createHash('sha256').update(message).digest()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = createPublicKey(privateKey)
  const signature = candidate.sign('ECDSA', privateKey, digest)
  return (
    verify('sha256', message, publicKey, signature) &&
    candidate.verify('ECDSA', publicKey, digest, signature) &&
    !candidate.verify('ECDSA', publicKey, Buffer.alloc(32, 1), signature)
  )
}
