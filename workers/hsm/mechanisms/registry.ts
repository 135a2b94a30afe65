/** Every mechanism by name, and the one way to use it: what is not allowed here is not done. */
import type { z } from 'zod'
import type { ClusterMode } from '../../../provider-schema/limits.ts'
import { HsmError } from '../protocol/errors.ts'
import type { KeyAttributes } from '../protocol/attributes.ts'
import type { signMechanism } from '../protocol/mechanisms.ts'
import type { KeyClass } from '../vault/attributes.ts'
import { aesGcm } from './aes.ts'
import { ecdsa } from './ec.ts'
import type { MechanismKey, Place, Signing } from './mechanism.ts'
import { rsaPkcs, rsaPkcsPss } from './rsa.ts'

export type SignatureParams = z.output<typeof signMechanism>

/** A use of a key: the attribute that permits it and the class that can do it. */
const USES = {
  sign: { attribute: 'sign', class: 'private-key' },
  verify: { attribute: 'verify', class: 'public-key' },
  encrypt: { attribute: 'encrypt', class: 'secret-key' },
  decrypt: { attribute: 'decrypt', class: 'secret-key' },
} as const satisfies Record<string, { attribute: keyof KeyAttributes; class: KeyClass }>

/** A key with the attributes that say what it is for. */
export interface UsableKey extends MechanismKey {
  readonly attributes: KeyAttributes
}

/** Throws MechanismInvalid or KeyFunctionNotPermitted unless mechanism, use and key go together. */
function requireUse(use: keyof typeof USES, { name, keyType }: { name: string; keyType: string }, key: UsableKey) {
  const needed = USES[use]
  if (key.type !== keyType) {
    throw new HsmError('MechanismInvalid', `${name} takes a key of type ${keyType}, not ${key.type}`)
  }
  if (key.class !== needed.class) {
    throw new HsmError('KeyFunctionNotPermitted', `to ${use} with ${name} takes a ${needed.class}, not a ${key.class}`)
  }
  if (!key.attributes[needed.attribute]) {
    throw new HsmError('KeyFunctionNotPermitted', `the key's attribute ${needed.attribute} is false`)
  }
}

interface Request {
  readonly key: UsableKey
  readonly data: Uint8Array
  readonly mode: ClusterMode
  readonly place: Place
}

export function sign(params: SignatureParams, request: Request): Uint8Array | Promise<Uint8Array> {
  return withMechanism(params, (mechanism, own) => {
    const { key, data, mode, place } = request
    requireUse('sign', mechanism, key)
    mechanism.check('sign', key, own, data, mode)
    return mechanism.sign(key, own, data, place)
  })
}

export function verify(
  params: SignatureParams,
  request: Request & { readonly signature: Uint8Array },
): boolean | Promise<boolean> {
  return withMechanism(params, (mechanism, own) => {
    const { key, data, mode, place, signature } = request
    requireUse('verify', mechanism, key)
    mechanism.check('verify', key, own, data, mode)
    return mechanism.verify(key, own, data, signature, place)
  })
}

/** Pairs parameters with the mechanism they belong to, so that the compiler sees that they fit. */
function withMechanism<Result>(
  params: SignatureParams,
  use: <Params>(mechanism: Signing<Params>, params: Params) => Result,
): Result {
  switch (params.name) {
    case 'rsa-pkcs':
      return use(rsaPkcs, params)
    case 'rsa-pkcs-pss':
      return use(rsaPkcsPss, params)
    case 'ecdsa':
      return use(ecdsa, params)
  }
}

export function encryptGcm(key: UsableKey, params: Parameters<typeof aesGcm.encrypt>[1], data: Uint8Array) {
  requireUse('encrypt', aesGcm, key)
  return aesGcm.encrypt(key, params, data)
}

export function decryptGcm(key: UsableKey, params: Parameters<typeof aesGcm.decrypt>[1], data: Uint8Array): Buffer {
  requireUse('decrypt', aesGcm, key)
  return aesGcm.decrypt(key, params, data)
}
