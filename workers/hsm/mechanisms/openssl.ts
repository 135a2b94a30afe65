/**
 * What OpenSSL can and node:crypto does not offer: signing what was hashed before it came. The functions are those of the
 * OpenSSL inside the running Node, called through `node:ffi` (experimental in Node 26; nodejs/node PR 62345 would make
 * it needless for ECDSA). The private key work is OpenSSL's, constant-time as all of it.
 *
 * Every pointer here is made, used and freed within one call, but for keys, which live as long as their KeyObject. Where
 * Node has no ffi, another OpenSSL, or the trial at the start fails, `openssl()` gives nothing and callers do without.
 */
import { createHash, createPublicKey, generateKeyPairSync, verify, type KeyObject } from 'node:crypto'
import { endianness } from 'node:os'

const POINTER = 'pointer'

const SYMBOLS = {
  BIO_new_mem_buf: { return: POINTER, arguments: ['buffer', 'i32'] },
  BIO_free: { return: 'i32', arguments: [POINTER] },
  d2i_PrivateKey_bio: { return: POINTER, arguments: [POINTER, POINTER] },
  d2i_PUBKEY_bio: { return: POINTER, arguments: [POINTER, POINTER] },
  EVP_PKEY_free: { return: 'void', arguments: [POINTER] },
  EVP_PKEY_CTX_new_from_pkey: { return: POINTER, arguments: [POINTER, POINTER, POINTER] },
  EVP_PKEY_CTX_free: { return: 'void', arguments: [POINTER] },
  EVP_SIGNATURE_fetch: { return: POINTER, arguments: [POINTER, 'string', POINTER] },
  EVP_SIGNATURE_free: { return: 'void', arguments: [POINTER] },
  EVP_PKEY_sign_init: { return: 'i32', arguments: [POINTER] },
  EVP_PKEY_sign_init_ex2: { return: 'i32', arguments: [POINTER, POINTER, POINTER] },
  EVP_PKEY_sign_message_init: { return: 'i32', arguments: [POINTER, POINTER, POINTER] },
  EVP_PKEY_sign: { return: 'i32', arguments: [POINTER, 'buffer', 'buffer', 'buffer', 'u64'] },
  EVP_PKEY_verify_init: { return: 'i32', arguments: [POINTER] },
  EVP_PKEY_verify_init_ex2: { return: 'i32', arguments: [POINTER, POINTER, POINTER] },
  EVP_PKEY_verify_message_init: { return: 'i32', arguments: [POINTER, POINTER, POINTER] },
  EVP_PKEY_verify: { return: 'i32', arguments: [POINTER, 'buffer', 'u64', 'buffer', 'u64'] },
  ERR_clear_error: { return: 'void', arguments: [] },
} as const

/** Schemes by OpenSSL's names; `ECDSA` takes a digest of any hash, the ML-DSAs a μ. */
export type Scheme = 'ECDSA' | 'ED25519ph' | 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87'

/** Bytes that hold any of these signatures (ML-DSA-87: 4,627). */
const MAX_SIGNATURE_BYTES = 8_192

const NULL = 0n

type Functions = ReturnType<typeof load>

function load() {
  const ffi = process.getBuiltinModule('node:ffi')
  const { functions } = ffi.dlopen(null, SYMBOLS)
  return { ffi, ...functions }
}

interface MuParams {
  /** Of the array. */
  readonly address: bigint
  /** The array and what it points at: to be kept as long as the address is used. */
  readonly memory: readonly Buffer[]
}

/** OSSL_PARAM[2], 40 bytes each: { "mu", OSSL_PARAM_INTEGER, &1, 4, OSSL_PARAM_UNMODIFIED }, and the end. */
function muParams(ffi: Functions['ffi']): MuParams {
  const name = Buffer.from('mu\0')
  const one = Buffer.alloc(4)
  one.writeInt32LE(1)
  const params = Buffer.alloc(80)
  params.writeBigUInt64LE(ffi.getRawPointer(name), 0)
  params.writeUInt32LE(1, 8)
  params.writeBigUInt64LE(ffi.getRawPointer(one), 16)
  params.writeBigUInt64LE(BigInt(one.length), 24)
  params.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 32)
  return { address: ffi.getRawPointer(params), memory: [params, name, one] }
}

class OpenSsl {
  readonly #f: Functions
  readonly #keys = new WeakMap<KeyObject, bigint>()
  readonly #unused: FinalizationRegistry<bigint>
  readonly #schemes = new Map<Scheme, bigint>()
  readonly #mu: MuParams

  constructor(functions: Functions) {
    this.#f = functions
    this.#unused = new FinalizationRegistry((key) => functions.EVP_PKEY_free(key))
    this.#mu = muParams(functions.ffi)
  }

  /** DER for ECDSA, the bytes of the standard for the others. */
  sign(scheme: Scheme, privateKey: KeyObject, digest: Uint8Array): Buffer {
    return this.#within(privateKey, (context) => {
      this.#require(this.#begin('sign', scheme, context), `${scheme} cannot begin to sign`)
      const signature = Buffer.alloc(MAX_SIGNATURE_BYTES)
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(signature.length))
      const signed = this.#f.EVP_PKEY_sign(context, signature, length, digest, BigInt(digest.length))
      this.#require(signed, `${scheme} does not sign`)
      return Buffer.from(signature.subarray(0, Number(length.readBigUInt64LE())))
    })
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
    const context = f.EVP_PKEY_CTX_new_from_pkey(NULL, this.#keyOf(key), NULL)
    try {
      if (context === NULL) throw new Error('OpenSSL gives no context')
      return work(context)
    } finally {
      f.EVP_PKEY_CTX_free(context)
      // Node reads the same queue of errors.
      f.ERR_clear_error()
    }
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
  #keyOf(key: KeyObject): bigint {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const isPrivate = key.type === 'private'
    const der = isPrivate ? key.export({ type: 'pkcs8', format: 'der' }) : key.export({ type: 'spki', format: 'der' })
    const bio = this.#f.BIO_new_mem_buf(der, der.length)
    try {
      const read = isPrivate ? this.#f.d2i_PrivateKey_bio : this.#f.d2i_PUBKEY_bio
      const pkey = bio === NULL ? NULL : read(bio, NULL)
      if (pkey === NULL) throw new Error('OpenSSL does not read the key')
      this.#keys.set(key, pkey)
      this.#unused.register(key, pkey)
      return pkey
    } finally {
      this.#f.BIO_free(bio)
      der.fill(0)
    }
  }

  #require(result: number, message: string): void {
    if (result !== 1) throw new Error(message)
  }
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
