import type { AttributeChange, DefaultSet, KeyFilter, KeyInfo } from '../../workers/hsm/protocol/attributes.ts'
import type { Operation, Params, Result } from './link.ts'
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
  /** NON_FIPS mode only. */
  generateDes3(request: Request<'key-generate-des3'>): Promise<KeyInfo>
  generateGenericSecret(request: Request<'key-generate-generic-secret'>): Promise<KeyInfo>
  generateMlDsa(request: Request<'key-generate-ml-dsa'>): Promise<KeyPair>
  /** Beyond AWS; NON_FIPS mode only. */
  generateMlKem(request: Request<'key-generate-ml-kem'>): Promise<KeyPair>
  /** In ascending order of handle, from `offset`, at most `limit` (at most 1,000). */
  find(filter?: KeyFilter, page?: { readonly offset?: number; readonly limit?: number }): Promise<FoundKeys>
  delete(handle: string): Promise<void>
  /** The public half as DER SubjectPublicKeyInfo. */
  publicKey(handle: string): Promise<Uint8Array>
  /** Keys by their handles; those that the caller does not see are left out. At most 1,000. */
  describe(handles: readonly string[]): Promise<KeyInfo[]>
  /** The bytes of a secret key that is not sensitive. HsmError KeyFunctionNotPermitted. */
  value(handle: string): Promise<Uint8Array>
  /** All of the changes or none. `token: true` turns a session key into a token key. */
  setAttributes(handle: string, attributes: AttributeChange): Promise<KeyInfo>
  share(handle: string, username: string): Promise<KeyInfo>
  unshare(handle: string, username: string): Promise<KeyInfo>
  import(request: Request<'key-import'>): Promise<KeyInfo>
  wrap(request: Request<'key-wrap'>): Promise<WrappedKey>
  unwrap(request: Request<'key-unwrap'>): Promise<KeyInfo>
  derive(request: Request<'key-derive'>): Promise<KeyInfo>
  /** A new key, and the ciphertext that gives it to the owner of the private key. Beyond AWS; NON_FIPS mode only. */
  encapsulate(request: Request<'key-encapsulate'>): Promise<Result<'key-encapsulate'>>
  /**
   * The key in a ciphertext of `encapsulate`. One that was not made for this private key gives a key that nobody else
   * has, and no error (FIPS 203 §6.3).
   */
  decapsulate(request: Request<'key-decapsulate'>): Promise<KeyInfo>
}

export type WrappedKey = Result<'key-wrap'>

export function keyCalls(requests: Requests): KeyCalls {
  const { copies } = requests
  return {
    async generateAes(request) {
      const params = { ...request, ...copies }
      const { key } = isOfSession(request)
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
    async generateDes3(request) {
      const params = { ...request, ...copies }
      const { key } = isOfSession(request)
        ? await requests.makeSessionKeys('key-generate-des3', params, (made) => [made.key])
        : await requests.any('key-generate-des3', params)
      return key
    },
    async generateGenericSecret(request) {
      const params = { ...request, ...copies }
      const { key } = isOfSession(request)
        ? await requests.makeSessionKeys('key-generate-generic-secret', params, (made) => [made.key])
        : await requests.any('key-generate-generic-secret', params)
      return key
    },
    async generateMlDsa(request) {
      const params = { ...request, ...copies }
      return ofSession(request)
        ? requests.makeSessionKeys('key-generate-ml-dsa', params, (made) => [made.publicKey, made.privateKey])
        : requests.any('key-generate-ml-dsa', params)
    },
    async generateMlKem(request) {
      const params = { ...request, ...copies }
      return ofSession(request)
        ? requests.makeSessionKeys('key-generate-ml-kem', params, (made) => [made.publicKey, made.privateKey])
        : requests.any('key-generate-ml-kem', params)
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
    describe: (handles) => requests.describe(handles),
    async value(handle) {
      const { value } = await requests.withKey('key-value', { handle })
      return value
    },
    async setAttributes(handle, attributes) {
      const { key } = await requests.withKey('key-set-attribute', { handle, attributes })
      if (key.attributes.token) requests.forgetKey(handle)
      return key
    },
    async share(handle, username) {
      const { key } = await requests.withKey('key-share', { handle, username })
      return key
    },
    async unshare(handle, username) {
      const { key } = await requests.withKey('key-unshare', { handle, username })
      return key
    },
    async import(request) {
      const { key } = await requests.makeOne('key-import', { ...request, ...copies }, isOfSession(request))
      return key
    },
    wrap: (request) =>
      requests.withKeys('key-wrap', { ...request, ...copies }, [request.handle, request.wrappingHandle]),
    async unwrap(request) {
      const { key } = await requests.makeFrom('key-unwrap', { ...request, ...copies }, isOfSession(request))
      return key
    },
    async derive(request) {
      const { key } = await requests.makeFrom('key-derive', { ...request, ...copies }, isOfSession(request))
      return key
    },
    encapsulate: (request) => requests.makeFrom('key-encapsulate', { ...request, ...copies }, isOfSession(request)),
    async decapsulate(request) {
      const { key } = await requests.makeFrom('key-decapsulate', { ...request, ...copies }, isOfSession(request))
      return key
    },
  }
}

type PairRequest = Omit<Request<'key-generate-rsa'>, 'modulusBits' | 'publicExponent' | 'mechanism'>

function ofSession(request: PairRequest): boolean {
  const { publicAttributes, privateAttributes, ...rest } = request
  return [publicAttributes, privateAttributes].some((attributes) => isOfSession({ ...rest, attributes }))
}

/** Whether a key to be made ends with the session: only the CLI's defaults make token keys where nobody says. */
function isOfSession({
  attributes,
  defaults = 'cli',
}: {
  attributes: { token?: boolean | undefined }
  defaults?: DefaultSet | undefined
}): boolean {
  return !(attributes.token ?? defaults === 'cli')
}
