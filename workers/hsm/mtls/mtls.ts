/** The trust anchors of a cluster's clients and whether mTLS is enforced: replicated records, the same on every HSM. */
import type { TLSSocket } from 'node:tls'
import { oneAtATime } from '../management-port/one-at-a-time.ts'
import { certificatesOf } from '../identity/trust.ts'
import type { MtlsLevel, TrustAnchorInfo } from '../protocol/client/mtls.ts'
import { HsmError } from '../protocol/errors.ts'
import { recordsOf } from '../vault/contested-records.ts'
import type { FeedEntry } from '../vault/record-store.ts'
import { writeReplicated, type Vaulted } from '../vault/replicated-write.ts'
import { leadsTo, readAnchor, type AnchorChain } from './anchor.ts'
import { ANCHORS, decodeAnchor, decodeLevel, encodeAnchor, encodeLevel, ENFORCEMENT, PREFIX } from './mtls-record.ts'

/** Per cluster (data-plane reference §7). */
export const MAX_ANCHORS = 2

interface Anchor {
  readonly reference: number
  readonly certificate: string
  readonly chain: AnchorChain
  readonly seq: number
}

export interface MtlsOptions extends Vaulted {
  readonly hsmType: () => string
}

export class Mtls {
  readonly #options: MtlsOptions
  readonly #anchors = new Map<number, Anchor>()
  readonly #listeners: (() => void)[] = []
  readonly #oneAtATime = oneAtATime()
  #level: MtlsLevel = 'none'

  constructor(options: MtlsOptions) {
    this.#options = options
    const records = recordsOf(options.store)
    for (const entry of records.list(PREFIX)) this.#take(entry)
    records.onCommit((entries) => {
      const ours = entries.filter(({ path }) => path.startsWith(PREFIX))
      ours.forEach((entry) => this.#take(entry))
      if (ours.length > 0) for (const listener of this.#listeners) listener()
    })
  }

  get level(): MtlsLevel {
    return this.#level
  }

  /** PEM of every certificate that OpenSSL may build a client's chain with. */
  get authorities(): string[] {
    return [...this.#anchors.values()].flatMap(({ chain }) => chain.map(String))
  }

  list(): TrustAnchorInfo[] {
    return [...this.#anchors.values()].sort((a, b) => a.reference - b.reference).map((anchor) => this.#present(anchor))
  }

  /** Called after each durable change, this HSM's own or a peer's. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /**
   * The anchor that the client of a connection proved to be below of; undefined when it showed no certificate, or none
   * that counts. A resumed session proves nothing: Node calls it authorized whatever its first handshake was.
   */
  anchorOf(socket: TLSSocket): number | undefined {
    if (!socket.authorized || socket.isSessionReused()) return undefined
    const certificate = socket.getPeerX509Certificate()
    if (!certificate) return undefined
    return [...this.#anchors.values()].find(({ chain }) => leadsTo(chain, certificate))?.reference
  }

  /** Throws CertificateInvalid, LimitExceeded, PolicyRefused (hsm1), NotEnoughCopies. */
  register(certificate: string): Promise<TrustAnchorInfo> {
    return this.#oneAtATime(async () => {
      this.#requireHsm2()
      const chain = readAnchor(certificate)
      const known = [...this.#anchors.values()].find((anchor) => anchor.chain[0].raw.equals(chain[0].raw))
      if (known)
        throw new HsmError('CertificateInvalid', `this trust anchor is registered already, as ${known.reference}`)
      if (this.#anchors.size >= MAX_ANCHORS) {
        throw new HsmError('LimitExceeded', `a cluster has at most ${MAX_ANCHORS} trust anchors: deregister one first`)
      }
      const reference = this.#anchors.has(1) ? 2 : 1
      await this.#write(`${ANCHORS}${reference}`, encodeAnchor(chain.map(String).join('')))
      const anchor = this.#anchors.get(reference)
      if (!anchor) throw new HsmError('Busy', 'another HSM changed the trust anchors at the same time; try again')
      return this.#present(anchor)
    })
  }

  /** Throws WrongState for the last anchor while mTLS is enforced: nobody could connect any more. */
  deregister(reference: number): Promise<void> {
    return this.#oneAtATime(async () => {
      if (!this.#anchors.has(reference)) {
        throw new HsmError('CertificateInvalid', `there is no trust anchor with the reference ${reference}`)
      }
      if (this.#level === 'cluster' && this.#anchors.size === 1) {
        throw new HsmError('WrongState', 'mTLS is enforced: set the enforcement to none before the last anchor goes')
      }
      await this.#write(`${ANCHORS}${reference}`, undefined)
    })
  }

  /** Whoever may is looked at by the caller. */
  setLevel(level: MtlsLevel): Promise<void> {
    return this.#oneAtATime(async () => {
      this.#requireHsm2()
      await this.#write(ENFORCEMENT, encodeLevel(level))
    })
  }

  #requireHsm2(): void {
    if (this.#options.hsmType().startsWith('hsm2')) return
    throw new HsmError(
      'PolicyRefused',
      `mTLS is for clusters of hsm2m.medium; this one is of ${this.#options.hsmType()}`,
    )
  }

  async #write(path: string, value: Uint8Array | undefined): Promise<void> {
    const copies = Math.min(2, Math.max(1, this.#options.replication.members().length))
    await writeReplicated(this.#options, [{ path, value }], {
      copies,
      refusal: 'the change of mTLS was undone: it must be held by at least 2 HSMs, and no other HSM took it in time',
    })
  }

  #take({ path, value, seq }: FeedEntry): void {
    if (path === ENFORCEMENT) {
      this.#level = value ? decodeLevel(value) : 'none'
    }
    if (!path.startsWith(ANCHORS)) return
    const reference = Number(path.slice(ANCHORS.length))
    if (value === undefined) return void this.#anchors.delete(reference)
    const certificate = decodeAnchor(value)
    this.#anchors.set(reference, { reference, certificate, chain: certificatesOf(certificate), seq })
  }

  #present({ reference, certificate, seq }: Anchor): TrustAnchorInfo {
    const { replication } = this.#options
    const coverage = replication.copies(seq) >= replication.members().length ? 'full' : 'partial'
    return { reference, certificate, coverage }
  }
}
