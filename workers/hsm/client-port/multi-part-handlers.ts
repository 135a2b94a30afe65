/** Digests, signatures and ciphers over data that comes in parts. */
import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { settled } from '../later.ts'
import { cipherStream } from '../mechanisms/block-cipher.ts'
import { requireData } from '../mechanisms/data-caps.ts'
import { DIGEST_BYTES } from '../mechanisms/digest.ts'
import { cipherNeeds } from '../mechanisms/encryption.ts'
import { macStream, type MacStream } from '../mechanisms/mac.ts'
import { requireSignature, sign, verify, type SignatureParams } from '../mechanisms/registry.ts'
import { requireUse } from '../mechanisms/require-use.ts'
import { sameBytes } from '../mechanisms/same-bytes.ts'
import { requireAllowed } from '../policy/mechanism-policy.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { cipherStreamMechanism, signStreamMechanism } from '../protocol/mechanisms.ts'
import type { Handlers } from '../server/port-server.ts'
import type { HeldKey } from '../vault/held-key.ts'
import { requireCluster, type ClientHsm } from './client-hsm.ts'
import type { PartOperation } from './part-operations.ts'
import { admitCaller, type ClientConnection, type Session } from './session.ts'

type SignStream = z.output<typeof signStreamMechanism>
type CipherStreamParams = z.output<typeof cipherStreamMechanism>

const NOTHING = Buffer.alloc(0)

/** A key that is looked up for each part: it may be deleted or no longer shared by then. */
type KeyNow = () => HeldKey

export function multiPartHandlers(hsm: ClientHsm) {
  const keyNow = (connection: ClientConnection, handle: string, requireTwoCopies: boolean): KeyNow => {
    return () => hsm.keys.usable(admitCaller('part-update', hsm, connection), handle, requireTwoCopies)
  }

  const signing = (use: 'sign' | 'verify', mechanism: SignStream, key: KeyNow): PartOperation => {
    const params = overDigest(mechanism)
    const request = (data: Uint8Array) => ({ key: key(), data, place: 'inline' as const, ...requireCluster(hsm) })
    const anyDigest = Buffer.alloc(digestBytesOf(mechanism))
    // For each part: the key may no longer do this.
    const requireStill = () => {
      requireSignature(use, params, request(anyDigest))
    }
    requireStill()
    const running = runningCode(mechanism, key())
    return {
      update(data) {
        requireStill()
        if (mechanism.name === 'hmac') requireData(`hmac-${mechanism.hash}`, data)
        if (mechanism.name === 'aes-cmac') requireData('aes-cmac', data)
        running.update(data)
        return NOTHING
      },
      async finish(signature) {
        requireGiven(use, signature)
        const result = running.finish()
        if (mechanism.name === 'hmac' || mechanism.name === 'aes-cmac') {
          requireStill()
          return signature ? { output: NOTHING, valid: sameBytes(result, signature) } : { output: result }
        }
        const asked = request(result)
        if (!signature) return { output: await settled(sign(params, asked)) }
        return { output: NOTHING, valid: await verify(params, { ...asked, signature }) }
      },
    }
  }

  const ciphering = (use: 'encrypt' | 'decrypt', mechanism: CipherStreamParams, key: KeyNow): PartOperation => {
    // For each part: the key may have become one that never decrypts.
    const requireStill = () => requireUse(use, cipherNeeds(mechanism.name), key(), requireCluster(hsm))
    requireStill()
    const stream = cipherStream(use, mechanism, key())
    return {
      update(data) {
        requireStill()
        requireData(mechanism.name, data)
        return stream.update(data)
      },
      finish(signature) {
        requireGiven(use, signature)
        requireStill()
        return { output: stream.finish() }
      },
    }
  }

  return {
    'part-begin'(params, connection) {
      admitCaller('part-begin', hsm, connection)
      const { parts } = connection.context
      if (params.use === 'digest') {
        requireAllowed(params.hash, 'digest', requireCluster(hsm))
        return { operation: parts.begin(() => digesting(params.hash)) }
      }
      const key = keyNow(connection, params.handle, params.requireTwoCopies)
      switch (params.use) {
        case 'sign':
        case 'verify':
          return { operation: parts.begin(() => signing(params.use, params.mechanism, key)) }
        case 'encrypt':
        case 'decrypt':
          return { operation: parts.begin(() => ciphering(params.use, params.mechanism, key)) }
      }
    },

    'part-update'({ operation, data }, connection) {
      admitCaller('part-update', hsm, connection)
      return { output: connection.context.parts.update(operation, data) }
    },

    'part-finish'({ operation, signature }, connection) {
      admitCaller('part-finish', hsm, connection)
      return connection.context.parts.finish(operation, signature)
    },

    'part-cancel'({ operation }, connection) {
      admitCaller('part-cancel', hsm, connection)
      connection.context.parts.cancel(operation)
      return {}
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}

function digesting(hash: keyof typeof DIGEST_BYTES): PartOperation {
  const running = createHash(hash)
  return {
    update(data) {
      running.update(data)
      return NOTHING
    },
    finish(signature) {
      requireGiven('digest', signature)
      return { output: running.digest() }
    },
  }
}

/** What hashes signs the digest in the end; a code is made of all the data. */
function overDigest(mechanism: SignStream): SignatureParams {
  if (mechanism.name === 'hmac' || mechanism.name === 'aes-cmac') return mechanism
  return { ...mechanism, dataType: 'digest' }
}

const digestBytesOf = (mechanism: SignStream) => ('hash' in mechanism ? DIGEST_BYTES[mechanism.hash] : 0)

function runningCode(mechanism: SignStream, key: HeldKey): MacStream {
  if (mechanism.name === 'hmac' || mechanism.name === 'aes-cmac') return macStream(mechanism, key.object)
  const hash = createHash(mechanism.hash)
  return { update: (data) => void hash.update(data), finish: () => hash.digest() }
}

/** A signature is there exactly where one is to be verified. */
function requireGiven(use: string, signature: Uint8Array | undefined): void {
  if ((use === 'verify') === (signature !== undefined)) return
  throw new HsmError('InvalidRequest', use === 'verify' ? 'give the signature to verify' : `${use} takes no signature`)
}
