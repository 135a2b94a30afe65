/** Message authentication codes by OpenSSL: HMAC (FIPS 198-1) and AES-CMAC (NIST SP 800-38B). */
import * as crypto from 'node:crypto'
import { createHmac, type KeyObject } from 'node:crypto'
import type { HashName } from '../protocol/mechanisms.ts'
import { requireData } from './data-caps.ts'
import type { Signing } from './mechanism.ts'
import { sameBytes } from './same-bytes.ts'

export type MacParams = { readonly name: 'hmac'; readonly hash: HashName } | { readonly name: 'aes-cmac' }

/** A code that is fed piece by piece. */
export interface MacStream {
  update(data: Uint8Array): void
  finish(): Buffer
}

export function macStream(params: MacParams, key: KeyObject): MacStream {
  if (params.name === 'hmac') {
    const hmac = createHmac(params.hash, key)
    return { update: (data) => void hmac.update(data), finish: () => hmac.digest() }
  }
  const mac = createCmac(key)
  return { update: (data) => void mac.update(data), finish: () => mac.final() }
}

interface Cmac {
  update(data: Uint8Array): unknown
  final(): Buffer
}

/** `createMac` is newer than the types of Node that there are (@types/node 26.6). */
function createCmac(key: KeyObject): Cmac {
  const createMac: unknown = Reflect.get(crypto, 'createMac')
  if (typeof createMac !== 'function') throw new Error('this Node has no crypto.createMac: 26.10 or later is needed')
  const cipher = `aes-${(key.symmetricKeySize ?? 0) * 8}-cbc`
  return createMac('cmac', key, { cipher }) as Cmac
}

const macOf = <Params extends MacParams>(params: Params, key: KeyObject, data: Uint8Array) => {
  const mac = macStream(params, key)
  mac.update(data)
  return mac.finish()
}

export const hmac: Signing<Extract<MacParams, { name: 'hmac' }>> = {
  name: 'hmac',
  keyType: 'generic-secret',
  secret: true,
  check: (_use, _key, { hash }, data) => requireData(`hmac-${hash}`, data),
  sign: ({ object }, params, data) => macOf(params, object, data),
  verify: ({ object }, params, data, signature) => sameBytes(macOf(params, object, data), signature),
}

export const aesCmac: Signing<Extract<MacParams, { name: 'aes-cmac' }>> = {
  name: 'aes-cmac',
  keyType: 'aes',
  secret: true,
  check: (_use, _key, _params, data) => requireData('aes-cmac', data),
  sign: ({ object }, params, data) => macOf(params, object, data),
  verify: ({ object }, params, data, signature) => sameBytes(macOf(params, object, data), signature),
}
