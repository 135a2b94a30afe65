/**
 * The client of a cluster: everything an application may ask of its HSMs, whichever of them answers.
 *
 * Requests go to the HSM with the fewest under way; one that an HSM does not answer goes to another if repeating it is
 * harmless. A login holds on every HSM, also on those that are connected later, until logout or close.
 */
import { createHash } from 'node:crypto'
import { MAX_MESSAGE_BYTES } from '../../workers/hsm/protocol/client/crypto.ts'
import { takesDigest, type HashName, type SignMechanism } from '../../workers/hsm/protocol/mechanisms.ts'
import { ClientError } from './errors.ts'
import { keyCalls, type KeyCalls } from './keys.ts'
import type { Link, Params, Result, ServerAddress } from './link.ts'
import { mtlsCalls, type MtlsCalls } from './mtls.ts'
import { signaturesOf, type SignTokens } from './mfa.ts'
import { partCalls, type PartCalls } from './parts.ts'
import { Pool } from './pool.ts'
import { quorumCalls, type QuorumCalls } from './quorum.ts'
import { Requests, type FromHsm } from './requests.ts'
import { Secret } from './secret.ts'
import { loadTrust, type TrustSource } from './trust.ts'
import { userCalls, type UserCalls, type UserName } from './users.ts'
import { versioned } from './version.ts'

export interface ClientOptions extends TrustSource {
  /** One HSM's address is enough; with several the client starts also when the first is down. */
  readonly servers: readonly ServerAddress[]
  /** Refuse to talk to the HSMs of any other cluster. */
  readonly clusterId?: string | undefined
  /** The key-availability check: make and use token keys only when two HSMs hold them (data-plane §6.1). Default true. */
  readonly requireTwoCopies?: boolean | undefined
  /** Retrying of throttled requests. Default `standard`. */
  readonly retry?: 'standard' | 'off' | undefined
  /**
   * What to be called, `name/version`: HSMs remember it, and `hsmTypeChange.oldestClients` may ask for a version.
   * Default `strongroom-sdk` and the version of this Strongroom.
   */
  readonly clientName?: string | undefined
  /** Milliseconds for TCP, TLS and greeting together. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined
  /** Milliseconds for an answer; an HSM that takes longer is given up. Default 30,000. */
  readonly callTimeoutMs?: number | undefined
  /** Milliseconds a request waits while no HSM is connected. Default 5,000. */
  readonly unreachableTimeoutMs?: number | undefined
  /** Told of connections made and lost; never of anything secret. */
  readonly log?: ((level: 'info' | 'warn', message: string) => void) | undefined
}

/** How things stand with one HSM. */
export interface HsmStatus {
  readonly hsmId: string | undefined
  readonly server: ServerAddress
  readonly connected: boolean
  readonly loggedIn: boolean
  readonly error: string | undefined
}

/** The longest that a timer of Node's takes, some 24 days; above it fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Infinity is as long as can be. */
function timeOf(name: string, ms: number, least: number): number {
  if (ms >= least) return Math.min(ms, MAX_TIMER_MS)
  throw new ClientError('InvalidOptions', `${name} is a number of milliseconds, at least ${least}, not ${ms}`)
}

/**
 * Connects to a cluster. Throws ClientError: InvalidOptions, TrustInvalid, CertificateNotTrusted, NoHsmReachable (with every address
 * and its reason) or WrongCluster. Close the client when done: it holds sockets.
 */
export async function createClient(options: ClientOptions): Promise<Client> {
  if (options.servers.length === 0) throw new ClientError('InvalidOptions', 'servers names no HSM')
  const pool = new Pool({
    servers: options.servers,
    trust: loadTrust(options),
    clusterId: options.clusterId,
    clientName: options.clientName ?? versioned('strongroom-sdk'),
    connectTimeoutMs: timeOf('connectTimeoutMs', options.connectTimeoutMs ?? 5_000, 1),
    callTimeoutMs: timeOf('callTimeoutMs', options.callTimeoutMs ?? 30_000, 1),
    unreachableTimeoutMs: timeOf('unreachableTimeoutMs', options.unreachableTimeoutMs ?? 5_000, 0),
    log: options.log ?? (() => undefined),
  })
  try {
    const first = await pool.start()
    return new Client(pool, first, options)
  } catch (error) {
    await pool.close()
    throw error
  }
}

export class Client {
  readonly clusterId: string
  readonly hsmType: string
  readonly mode: 'FIPS' | 'NON_FIPS'
  readonly users: UserCalls
  readonly keys: KeyCalls
  /** Operations on data that comes in parts. */
  readonly parts: PartCalls
  readonly quorum: QuorumCalls
  readonly mtls: MtlsCalls
  readonly #pool: Pool
  readonly #requests: Requests

  constructor(pool: Pool, first: Link, { retry = 'standard', requireTwoCopies = true }: ClientOptions) {
    this.clusterId = first.hello.clusterId
    this.hsmType = first.hello.hsmType
    this.mode = first.hello.mode
    this.#pool = pool
    this.#requests = new Requests(pool, { retry, requireTwoCopies })
    this.users = userCalls(this.#requests)
    this.keys = keyCalls(this.#requests)
    this.parts = partCalls(this.#requests)
    this.quorum = quorumCalls(this.#requests)
    this.mtls = mtlsCalls(this.#requests)
  }

  /** Who is logged in. */
  get user(): UserName | undefined {
    const session = this.#pool.session
    return session && { username: session.username, role: session.role }
  }

  /** Every HSM that the client knows of, connected or not. */
  hsms(): HsmStatus[] {
    return this.#pool.endpoints.map(({ hsmId, server, link, lastError }) => ({
      hsmId,
      server,
      connected: link?.usable ?? false,
      loggedIn: link?.session !== undefined,
      error: (link?.refusal ?? lastError)?.message,
    }))
  }

  /** Sets the first admin's password. HsmError AlreadyActivated when the cluster has one. */
  async activate(password: string): Promise<void> {
    await this.#requests.any('activate', { password })
  }

  /** Logs in on every HSM. HsmError LoginFailed or UserLocked; ClientError AlreadyLoggedIn. */
  async login({ username, role, password }: UserName & { readonly password: string }): Promise<void> {
    await this.#pool.logIn({ username: username.toLowerCase(), role, password: new Secret(password) })
  }

  /**
   * As `login`, for a user with MFA: `sign` is given a token of each connected HSM. HSMs that are connected later do not
   * take part in the login.
   */
  async loginSigned(login: UserName & { readonly password: string; readonly sign: SignTokens }): Promise<void> {
    const user = { username: login.username.toLowerCase(), role: login.role }
    const signatures = await signaturesOf(this.#requests, user, login.sign)
    await this.#pool.logIn({ ...user, password: new Secret(login.password), signatures })
  }

  /** Ends the login on every HSM, and with it every session key, and forgets the password. */
  async logout(): Promise<void> {
    this.#requests.forgetKeys()
    await this.#pool.logOut()
  }

  /** What each HSM says it is. */
  hsmInfo(): Promise<FromHsm<Result<'hsm-info'>>[]> {
    return this.#requests.each('hsm-info', {})
  }

  /** Signs with a private key. A message too long for a request is hashed here and its digest signed (data-plane §4). */
  async sign(handle: string, mechanism: SignMechanism, data: Uint8Array): Promise<Uint8Array> {
    const params = { handle, ...hashedIfLong(mechanism, data), ...this.#requests.copies }
    const { signature } = await this.#requests.withKey('sign', params)
    return signature
  }

  /** Whether the signature is the key's over this message. */
  async verify(handle: string, mechanism: SignMechanism, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
    const params = { handle, ...hashedIfLong(mechanism, data), signature, ...this.#requests.copies }
    const { valid } = await this.#requests.withKey('verify', params)
    return valid
  }

  /** AES-GCM: the HSM makes the IV, and `ciphertext` ends in the tag; of other mechanisms `iv` is empty. */
  encrypt(request: Omit<Params<'encrypt'>, 'requireTwoCopies'>): Promise<Result<'encrypt'>> {
    return this.#requests.withKey('encrypt', { ...request, ...this.#requests.copies })
  }

  /** HsmError DecryptionFailed when tag or padding do not fit. */
  async decrypt(request: Omit<Params<'decrypt'>, 'requireTwoCopies'>): Promise<Uint8Array> {
    const { plaintext } = await this.#requests.withKey('decrypt', { ...request, ...this.#requests.copies })
    return plaintext
  }

  /** The digest of data, made in an HSM. */
  async digest(hash: HashName, data: Uint8Array): Promise<Uint8Array> {
    const { digest } = await this.#requests.any('digest', { hash, data })
    return digest
  }

  /** Random bytes from an HSM, at most 65,536. */
  async random(length: number): Promise<Uint8Array> {
    const { bytes } = await this.#requests.any('random', { length })
    return bytes
  }

  /** Closes every connection; nothing of the client is left running. Requests under way fail. */
  async close(): Promise<void> {
    this.#requests.forgetKeys()
    await this.#pool.close()
  }
}

/** As it is where the HSM must see the whole message: it says so when that is too long. */
function hashedIfLong(mechanism: SignMechanism, data: Uint8Array): { mechanism: SignMechanism; data: Uint8Array } {
  if (data.length <= MAX_MESSAGE_BYTES || !takesDigest(mechanism) || mechanism.dataType === 'digest') {
    return { mechanism, data }
  }
  const digest = createHash(mechanism.hash ?? 'sha512')
    .update(data)
    .digest()
  return { mechanism: { ...mechanism, dataType: 'digest' }, data: digest }
}
