/** Every mechanism by name, and the one way to use it: what is not allowed here is not done. */
import type { z } from 'zod'
import type { Answer } from '../later.ts'
import type { Place as PolicyPlace } from '../policy/mechanism-policy.ts'
import type { signMechanism } from '../protocol/mechanisms.ts'
import { ecdsa } from './ec.ts'
import { ed25519, ed25519ph } from './eddsa.ts'
import { aesCmac, hmac } from './mac.ts'
import type { Place, Signing, UsableKey } from './mechanism.ts'
import { mlDsa } from './ml-dsa.ts'
import { requireUse } from './require-use.ts'
import { rsaPkcs, rsaPkcsPss, rsaPkcsUnhashed, rsaX509 } from './rsa.ts'

export type { UsableKey } from './mechanism.ts'
export { deriveMaterial } from './derive.ts'
export { importMaterial } from './import.ts'
export { decrypt, encrypt } from './encryption.ts'
export { unwrapMaterial, wrapMaterial } from './wrap.ts'

export type SignatureParams = z.output<typeof signMechanism>

export interface SignatureRequest extends PolicyPlace {
  readonly key: UsableKey
  readonly data: Uint8Array
  readonly place: Place
}

/** Throws unless this key may do that with data of this length: what `sign` and `verify` look at first. */
export function requireSignature(
  use: 'sign' | 'verify',
  params: SignatureParams,
  request: Omit<SignatureRequest, 'place'>,
): void {
  withMechanism(params, (mechanism, own) => {
    requireUse(use, mechanism, request.key, request)
    mechanism.check(use, request.key, own, request.data, request.mode)
  })
}

export function sign(params: SignatureParams, request: SignatureRequest): Answer<Uint8Array> {
  return withMechanism(params, (mechanism, own) => {
    const { key, data, mode, place } = request
    requireUse('sign', mechanism, key, request)
    mechanism.check('sign', key, own, data, mode)
    return mechanism.signLater?.(key, own, data, place) ?? mechanism.sign(key, own, data, place)
  })
}

export function verify(
  params: SignatureParams,
  request: SignatureRequest & { readonly signature: Uint8Array },
): boolean | Promise<boolean> {
  return withMechanism(params, (mechanism, own) => {
    const { key, data, mode, place, signature } = request
    requireUse('verify', mechanism, key, request)
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
    case 'ecdsa':
      return use(ecdsa, params)
    case 'rsa-pkcs-pss':
      return use(rsaPkcsPss, params)
    case 'rsa-pkcs-unhashed':
      return use(rsaPkcsUnhashed, params)
    case 'rsa-x509':
      return use(rsaX509, params)
    case 'hmac':
      return use(hmac, params)
    case 'aes-cmac':
      return use(aesCmac, params)
    case 'ed25519':
      return use(ed25519, params)
    case 'ed25519ph':
      return use(ed25519ph, params)
    case 'ml-dsa':
      return use(mlDsa, params)
  }
}
