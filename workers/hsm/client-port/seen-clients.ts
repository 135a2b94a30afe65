/**
 * Which client software was logged in here of late: a change of the HSM type asks for it (data-plane reference §8). Only
 * logins count, since anybody can say any name in `hello`.
 *
 * Kept sealed and bounded. That a known one was seen again is written at most once an hour, so a kill forgets an hour of
 * it at most; of one that was never seen, nothing.
 */
import type { Logger } from 'pino'
import { z } from 'zod'
import type { RecordStore } from '../vault/record-store.ts'

export interface SeenClient {
  /** As it called itself, cut to what may be shown: `strongroom-sdk/0.1.0`. */
  readonly client: string
  /** Epoch milliseconds of its last login. */
  readonly seenAt: number
}

/** Kinds and versions that are remembered; beyond that the one seen longest ago is forgotten. */
export const MOST_CLIENTS = 32
const REMEMBERED_MS = 14 * 86_400_000
const WRITE_AGAIN_MS = 3_600_000
const ENTRY = 'seen-clients'
const NAME_LENGTH = 64

const kept = z.array(z.object({ client: z.string(), seenAt: z.number() }))

export class SeenClients {
  readonly #local: RecordStore['local']
  readonly #log: Logger
  readonly #now: () => number
  /** The one seen longest ago first. */
  readonly #seen = new Map<string, number>()
  readonly #writtenAt = new Map<string, number>()

  constructor(local: RecordStore['local'], log: Logger, now: () => number = Date.now) {
    this.#local = local
    this.#log = log
    this.#now = now
    const entry = local.get(ENTRY)
    if (!entry) return
    for (const { client, seenAt } of kept.parse(JSON.parse(Buffer.from(entry).toString()))) {
      this.#seen.set(client, seenAt)
      this.#writtenAt.set(client, seenAt)
    }
  }

  /** Of the last 14 days. */
  list(): SeenClient[] {
    const since = this.#now() - REMEMBERED_MS
    return [...this.#seen].flatMap(([client, seenAt]) => (seenAt > since ? [{ client, seenAt }] : []))
  }

  /** A client of this name has logged in. Never throws: that it cannot be written must not keep anybody out. */
  async note(name: string): Promise<void> {
    const client = shownName(name)
    const now = this.#now()
    this.#seen.delete(client)
    this.#seen.set(client, now)
    for (const [oldest] of this.#seen) {
      if (this.#seen.size <= MOST_CLIENTS) break
      this.#seen.delete(oldest)
      this.#writtenAt.delete(oldest)
    }
    if (now - (this.#writtenAt.get(client) ?? -Infinity) < WRITE_AGAIN_MS) return
    const list = this.list()
    for (const { client: each, seenAt } of list) this.#writtenAt.set(each, seenAt)
    try {
      await this.#local.put(ENTRY, Buffer.from(JSON.stringify(list)))
    } catch (error) {
      this.#writtenAt.delete(client)
      this.#log.warn({ err: error }, 'it could not be kept which clients were here')
    }
  }
}

/** Client names come from outside and end in texts for people. */
const shownName = (name: string) => name.replace(/[^\w./+-]/g, '_').slice(0, NAME_LENGTH)
