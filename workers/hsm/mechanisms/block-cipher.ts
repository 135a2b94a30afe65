/** Block ciphers in modes without authentication: AES (NIST SP 800-38A) and 3DES, at once or piece by piece. */
import { createCipheriv, createDecipheriv, type Cipheriv, type Decipheriv } from 'node:crypto'
import type { z } from 'zod'
import { HsmError } from '../protocol/errors.ts'
import type { cipherStreamMechanism } from '../protocol/mechanisms.ts'
import type { MechanismKey } from './mechanism.ts'

export type BlockCipherParams = z.output<typeof cipherStreamMechanism>

const BLOCK_BYTES = { aes: 16, des3: 8 } as const

const blockBytesOf = ({ name }: BlockCipherParams): number => BLOCK_BYTES[name.startsWith('aes') ? 'aes' : 'des3']

const isPadded = ({ name }: BlockCipherParams) => name.endsWith('-pad')

/** Bytes that a ciphertext may be longer than its plaintext. */
export const paddingBytesOf = (params: BlockCipherParams): number => (isPadded(params) ? blockBytesOf(params) : 0)

/** Data that is enciphered or deciphered piece by piece. */
export interface CipherStream {
  update(data: Uint8Array): Buffer
  /** Throws InvalidRequest when the pieces do not fill blocks, DecryptionFailed when the padding is wrong. */
  finish(): Buffer
}

export function cipherStream(
  direction: 'encrypt' | 'decrypt',
  params: BlockCipherParams,
  { object }: MechanismKey,
): CipherStream {
  const name = cipherName(params, object.symmetricKeySize ?? 0)
  const iv = 'iv' in params ? params.iv : null
  const cipher: Cipheriv | Decipheriv =
    direction === 'encrypt' ? createCipheriv(name, object, iv) : createDecipheriv(name, object, iv)
  const padded = isPadded(params)
  cipher.setAutoPadding(padded)
  const whole = params.name === 'aes-ctr' || (padded && direction === 'encrypt') ? 1 : blockBytesOf(params)
  let length = 0
  return {
    update(data) {
      length += data.length
      requireCounter(params, length)
      return cipher.update(data)
    },
    finish() {
      if (length % whole !== 0 || (padded && direction === 'decrypt' && length === 0)) {
        throw new HsmError('InvalidRequest', `${params.name} takes a multiple of ${whole} bytes, not ${length}`)
      }
      try {
        return cipher.final()
      } catch (cause) {
        throw new HsmError('DecryptionFailed', 'the data was not encrypted with this key and IV', { cause })
      }
    },
  }
}

export function runCipher(
  direction: 'encrypt' | 'decrypt',
  params: BlockCipherParams,
  key: MechanismKey,
  data: Uint8Array,
): Buffer {
  const stream = cipherStream(direction, params, key)
  const body = stream.update(data)
  try {
    return Buffer.concat([body, stream.finish()])
  } finally {
    body.fill(0)
  }
}

function cipherName({ name }: BlockCipherParams, keyBytes: number): string {
  switch (name) {
    case 'aes-ecb':
      return `aes-${keyBytes * 8}-ecb`
    case 'aes-cbc':
    case 'aes-cbc-pad':
      return `aes-${keyBytes * 8}-cbc`
    case 'aes-ctr':
      return `aes-${keyBytes * 8}-ctr`
    case 'des3-ecb':
      return 'des-ede3-ecb'
    case 'des3-cbc':
    case 'des3-cbc-pad':
      return 'des-ede3-cbc'
  }
}

/** A counter that runs over would repeat its key stream, or count in bits that are the caller's (SP 800-38A app. B.1). */
function requireCounter(params: BlockCipherParams, length: number): void {
  if (params.name !== 'aes-ctr') return
  const first = BigInt(`0x${Buffer.from(params.iv).toString('hex')}`) & ((1n << BigInt(params.counterBits)) - 1n)
  if (first + BigInt(Math.ceil(length / 16)) <= 1n << BigInt(params.counterBits)) return
  throw new HsmError(
    'LimitExceeded',
    `a counter of ${params.counterBits} bits runs over (NIST SP 800-38A appendix B.1)`,
  )
}
