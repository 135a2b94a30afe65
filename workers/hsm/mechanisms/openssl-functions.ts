/** The functions of OpenSSL that are called through `node:ffi`, and memory laid out as they read and write it. */

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
  EVP_PKEY_CTX_ctrl_str: { return: 'i32', arguments: [POINTER, 'string', 'string'] },
  EVP_PKEY_sign: { return: 'i32', arguments: [POINTER, POINTER, POINTER, POINTER, 'u64'] },
  EVP_PKEY_verify_init: { return: 'i32', arguments: [POINTER] },
  EVP_PKEY_verify_init_ex2: { return: 'i32', arguments: [POINTER, POINTER, POINTER] },
  EVP_PKEY_verify_message_init: { return: 'i32', arguments: [POINTER, POINTER, POINTER] },
  EVP_PKEY_verify: { return: 'i32', arguments: [POINTER, 'buffer', 'u64', 'buffer', 'u64'] },
  SHA1: { return: POINTER, arguments: ['buffer', 'u64', POINTER] },
  SHA224: { return: POINTER, arguments: ['buffer', 'u64', POINTER] },
  SHA256: { return: POINTER, arguments: ['buffer', 'u64', POINTER] },
  SHA384: { return: POINTER, arguments: ['buffer', 'u64', POINTER] },
  SHA512: { return: POINTER, arguments: ['buffer', 'u64', POINTER] },
  ERR_clear_error: { return: 'void', arguments: [] },
} as const

/** Bytes of the longest digest; μ has as many. */
const MAX_DIGEST_BYTES = 64

/** Of the OpenSSL inside the running Node. */
export type Functions = ReturnType<typeof load>

/** Throws where Node has no ffi, or its OpenSSL lacks one of them. */
export function load() {
  const ffi = process.getBuiltinModule('node:ffi')
  const { functions } = ffi.dlopen(null, SYMBOLS)
  return { ffi, ...functions }
}

export interface MuParams {
  /** Of the array. */
  readonly address: bigint
  /** The array and what it points at: to be kept as long as the address is used. */
  readonly memory: readonly Buffer[]
}

/** OSSL_PARAM[2], 40 bytes each: { "mu", OSSL_PARAM_INTEGER, &1, 4, OSSL_PARAM_UNMODIFIED }, and the end. */
export function muParams(ffi: Functions['ffi']): MuParams {
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

/** Where OpenSSL reads a digest and leaves the signature: one piece of memory, at addresses looked up once. */
export class Exchange {
  readonly #memory: Buffer
  readonly #room: number
  readonly #length: Uint32Array
  /** Of the length, which is the room before a signature and its length after. */
  readonly lengthAt: bigint
  readonly digestAt: bigint
  readonly signatureAt: bigint

  /** With room for signatures of so many bytes. */
  constructor(ffi: Functions['ffi'], room: number) {
    this.#room = room
    this.#memory = Buffer.alloc(8 + MAX_DIGEST_BYTES + room)
    this.#length = new Uint32Array(this.#memory.buffer, this.#memory.byteOffset, 2)
    this.lengthAt = ffi.getRawPointer(this.#memory)
    this.digestAt = this.lengthAt + 8n
    this.signatureAt = this.digestAt + BigInt(MAX_DIGEST_BYTES)
  }

  put(digest: Uint8Array): void {
    if (digest.length > MAX_DIGEST_BYTES) throw new Error(`a digest of ${digest.length} bytes`)
    this.#memory.set(digest, 8)
  }

  makeRoom(): void {
    this.#length[0] = this.#room
    this.#length[1] = 0
  }

  /** Not a copy. */
  signature(): Buffer {
    const start = 8 + MAX_DIGEST_BYTES
    return this.#memory.subarray(start, start + (this.#length[0] ?? 0))
  }
}
