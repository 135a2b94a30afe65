/**
 * The newest checkpoints of the other HSMs' audit logs, written into this one's: whoever cuts the end off one log, exactly
 * behind a checkpoint, would have to cut the logs of all HSMs of the cluster.
 */
import type { AuditHead } from '../../../provider-schema/audit-file.ts'
import type { Clock } from '../replication/clock.ts'
import type { AuditEvent } from './event.ts'

/** How often they are written down, in milliseconds. Younger events can be cut off unnoticed. */
const EVERY_MS = 10 * 60_000
/** Between looking and writing: the other log's lines are delivered by then, so that no one misses them. */
const SETTLED_MS = 10_000

export interface PeerHeadsOptions {
  readonly clock: Pick<Clock, 'setTimer'>
  readonly note: (event: AuditEvent) => void
}

export class PeerHeads {
  readonly #options: PeerHeadsOptions
  readonly #heard = new Map<string, AuditHead>()
  /** Hash of each HSM's head that was written down last. */
  readonly #noted = new Map<string, string>()
  #cancel: () => void

  constructor(options: PeerHeadsOptions) {
    this.#options = options
    this.#cancel = options.clock.setTimer(EVERY_MS, () => this.#look())
  }

  /** An HSM says how far its log is. */
  heard(hsmId: string, head: AuditHead): void {
    this.#heard.set(hsmId, head)
  }

  stop(): void {
    this.#cancel()
  }

  #look(): void {
    const due = [...this.#heard]
    this.#heard.clear()
    this.#cancel = this.#options.clock.setTimer(SETTLED_MS, () => {
      for (const [hsmId, head] of due) this.#note(hsmId, head)
      this.#cancel = this.#options.clock.setTimer(EVERY_MS - SETTLED_MS, () => this.#look())
    })
  }

  #note(hsmId: string, head: AuditHead): void {
    if (this.#noted.get(hsmId) === head.hash) return
    this.#noted.set(hsmId, head.hash)
    const details = { kind: 'peer-head', hsmId, ...head } as const
    this.#options.note({ opcode: 'SR_PEER_HEAD', operation: 'replication', session: 0, details })
  }
}
