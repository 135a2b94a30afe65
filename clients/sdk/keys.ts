import type { KeyFilter, KeyInfo } from '../../workers/hsm/protocol/attributes.ts'
import type { Operation, Params } from './link.ts'
import type { Requests } from './requests.ts'

/** What an operation is asked; the key-availability check is the client's, not the request's. */
type Request<Op extends Operation> = Omit<Params<Op>, 'requireTwoCopies'>

export interface KeyPair {
  readonly publicKey: KeyInfo
  readonly privateKey: KeyInfo
}

export interface FoundKeys {
  readonly keys: KeyInfo[]
  /** How many match in all. */
  readonly total: number
}

/** A key whose attribute `token` is false is a session key: it lives on one HSM and ends with the login. */
export interface KeyCalls {
  generateAes(request: Request<'key-generate-aes'>): Promise<KeyInfo>
  generateRsa(request: Request<'key-generate-rsa'>): Promise<KeyPair>
  generateEc(request: Request<'key-generate-ec'>): Promise<KeyPair>
  /** In ascending order of handle, from `offset`, at most `limit` (at most 1,000). */
  find(filter?: KeyFilter, page?: { readonly offset?: number; readonly limit?: number }): Promise<FoundKeys>
  delete(handle: string): Promise<void>
  /** The public half as DER SubjectPublicKeyInfo. */
  publicKey(handle: string): Promise<Uint8Array>
}

export function keyCalls(requests: Requests): KeyCalls {
  const { copies } = requests
  return {
    async generateAes(request) {
      const params = { ...request, ...copies }
      const { key } =
        request.attributes.token === false
          ? await requests.makeSessionKeys('key-generate-aes', params, (made) => [made.key])
          : await requests.any('key-generate-aes', params)
      return key
    },
    async generateRsa(request) {
      const params = { ...request, ...copies }
      return ofSession(request)
        ? requests.makeSessionKeys('key-generate-rsa', params, (made) => [made.publicKey, made.privateKey])
        : requests.any('key-generate-rsa', params)
    },
    async generateEc(request) {
      const params = { ...request, ...copies }
      return ofSession(request)
        ? requests.makeSessionKeys('key-generate-ec', params, (made) => [made.publicKey, made.privateKey])
        : requests.any('key-generate-ec', params)
    },
    find: (filter = {}, page = {}) => requests.find({ filter, ...page }),
    async delete(handle) {
      await requests.withKey('key-delete', { handle }, { code: 'KeyNotFound', result: {} })
      requests.forgetKey(handle)
    },
    async publicKey(handle) {
      const { spki } = await requests.withKey('key-public', { handle })
      return spki
    },
  }
}

function ofSession(request: Request<'key-generate-rsa'> | Request<'key-generate-ec'>): boolean {
  return request.publicAttributes.token === false || request.privateAttributes.token === false
}
