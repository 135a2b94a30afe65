/** One address and the endless work of staying connected to it: connect, be told when that breaks, wait, again. */
import { backoffMs, pause } from './backoff.ts'
import { ClientError } from './errors.ts'
import { openLink, type Link, type LinkOptions, type ServerAddress } from './link.ts'
import { explainCertificate, isCertificateError } from './trust.ts'

/** Between attempts to connect. */
const RECONNECT = { firstMs: 50, maxMs: 2_000 }
/** A connection that lived shorter counts as one more failure. */
const STABLE_MS = 5_000

export interface EndpointEvents {
  /** A connection is made and greeted. */
  up(endpoint: Endpoint, link: Link): void
  down(endpoint: Endpoint, link: Link, why: Error | undefined): void
  failed(endpoint: Endpoint, error: Error): void
  members(): void
}

export class Endpoint {
  readonly server: ServerAddress
  /** Which HSM listens here, once that is known. */
  hsmId: string | undefined
  link: Link | undefined
  /** Why the latest attempt failed. */
  lastError: Error | undefined
  /** Whether the first attempt is over, well or badly. */
  attempted = false
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  constructor(server: ServerAddress, hsmId?: string) {
    this.server = server
    this.hsmId = hsmId
  }

  start(options: LinkOptions, events: EndpointEvents): void {
    this.#running = this.#run(options, events, this.#stop.signal)
  }

  /** No more attempts. A connection is first allowed to finish what is under way, unless `at once`. */
  async stop(atOnce?: 'at once'): Promise<void> {
    if (!atOnce) await this.link?.retire(this.#stop.signal)
    this.#stop.abort()
    await this.#running
  }

  async #run(options: LinkOptions, events: EndpointEvents, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const link = await openLink(this.server, options, () => events.members(), signal)
        const since = Date.now()
        await this.#live(link, events, signal)
        if (Date.now() - since > STABLE_MS) failures = 0
      } catch (error) {
        this.lastError = await this.#explain(error, options, signal)
        this.attempted = true
        events.failed(this, this.lastError)
      }
      await pause(backoffMs(failures, RECONNECT), signal)
    }
  }

  /** A refused certificate is looked at closer, the first time. */
  async #explain(error: unknown, options: LinkOptions, signal: AbortSignal): Promise<Error> {
    const cause = error instanceof Error ? error : new Error(String(error))
    if (!isCertificateError(cause)) return cause
    const known = this.lastError
    if (known instanceof ClientError && known.code === 'CertificateNotTrusted') return known
    return explainCertificate(this.server, options.trust, cause, signal)
  }

  async #live(link: Link, events: EndpointEvents, signal: AbortSignal): Promise<void> {
    const abort = () => void link.close()
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    this.link = link
    this.hsmId = link.hello.hsmId
    this.lastError = undefined
    this.attempted = true
    events.up(this, link)
    const why = await link.closed
    signal.removeEventListener('abort', abort)
    this.link = undefined
    events.down(this, link, why)
  }
}
