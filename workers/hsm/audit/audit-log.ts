/**
 * The audit log of one HSM (data-plane reference §6.5): what was asked of it to manage keys and users, and how it went.
 * An event is on disk before the reply to its operation is sent; events that arrive while one write is under way share
 * the next. Each write ends in a checkpoint signed by the device key.
 */
import { sign, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import type { Logger } from 'pino'
import { z } from 'zod'
import { chainLine, signedText, type NewLine } from '../../../audit-log/chain.ts'
import { auditFilesIn } from '../../../audit-log/files.ts'
import { AUDIT_BEGINNING, AUDIT_DIRECTORY, AUDIT_FORMAT, type AuditHead } from '../../../provider-schema/audit-file.ts'
import { HsmError } from '../protocol/errors.ts'
import type { RecordStore } from '../vault/record-store.ts'
import { eventText, type AuditEvent } from './event.ts'
import { AuditFiles } from './files.ts'
import { standingOf, type Mark } from './resume.ts'

export interface AuditLimits {
  /** A file longer than this is followed by a new one. */
  readonly fileBytes: number
  /** How many an HSM keeps; whoever delivers them has taken the older ones long before. */
  readonly files: number
  /** Held back on the disk for events of operations that were under way when it became full. */
  readonly reserveBytes: number
  /** Operations under way that will be written down: the reserve is for that many. */
  readonly underWay: number
  /** How often a log that could not be written is tried again, in milliseconds. */
  readonly retryMs: number
}

/** An event with its checkpoint takes less than 1 KiB. */
export const AUDIT_LIMITS: AuditLimits = {
  fileBytes: 4 * 1024 * 1024,
  files: 16,
  reserveBytes: 1024 * 1024,
  underWay: 1000,
  retryMs: 2_000,
}

export interface AuditOptions {
  readonly directory: string
  readonly hsmId: string
  readonly device: { readonly key: KeyObject; readonly tls: { readonly cert: string } }
  readonly local: RecordStore['local']
  readonly log: Logger
  readonly limits?: Partial<AuditLimits>
}

interface Waiting {
  readonly event: AuditEvent
  readonly clusterId: string
  readonly usecs: number
  readonly resolve: () => void
  readonly reject: (error: HsmError) => void
}

const packr = new Packr({ useRecords: false })
const MARK = 'audit/mark'
const markShape = z.object({ reboots: z.number(), sequence: z.number() })

export class AuditLog {
  readonly #options: AuditOptions
  readonly #limits: AuditLimits
  readonly #files: AuditFiles
  readonly #reboots: number
  #file = 0
  #sequence = 0
  #hash = AUDIT_BEGINNING
  #head: AuditHead | undefined
  #damage: string | undefined
  #waiting: Waiting[] = []
  #underWay = 0
  #working: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  /** Why nothing can be written; undefined while all is well. */
  #full: string | undefined
  #closed = false

  private constructor(options: AuditOptions, mark: Mark) {
    this.#options = options
    this.#limits = { ...AUDIT_LIMITS, ...options.limits }
    this.#files = new AuditFiles(join(options.directory, AUDIT_DIRECTORY), this.#limits.reserveBytes)
    this.#reboots = mark.reboots
  }

  /**
   * Opens the log of an HSM's directory. An incomplete last line is cut off, and a line says so; a log that was altered
   * is left as it is and goes on in a new file that says what is wrong.
   */
  static async open(options: AuditOptions): Promise<AuditLog> {
    const kept = options.local.get(MARK)
    const before = kept ? markShape.parse(packr.unpack(kept)) : { reboots: 0, sequence: 0 }
    const log = new AuditLog(options, { ...before, reboots: before.reboots + 1 })
    await log.#resume(before)
    await options.local.put(MARK, packr.pack({ reboots: log.#reboots, sequence: log.#sequence }))
    return log
  }

  /** Number of the next event. */
  get sequence(): number {
    return this.#sequence
  }

  /**
   * The newest checkpoint that other HSMs are to write down; undefined while there is none since the start. What only says
   * how far their logs are is no news to them.
   */
  get head(): AuditHead | undefined {
    return this.#head
  }

  /**
   * To be called before an operation that will be recorded: counts it as under way. Throws StorageFailed while the log
   * cannot be written, Busy when more are under way than there is room held back for.
   */
  begin(): void {
    if (this.#full !== undefined) {
      throw new HsmError(
        'StorageFailed',
        `the HSM refuses what it cannot write into its audit log: ${this.#full}. Free some space; keys can be used meanwhile`,
      )
    }
    if (this.#underWay >= this.#limits.underWay) {
      throw new HsmError('Busy', 'too many management operations are under way; try again in a moment')
    }
    this.#underWay += 1
  }

  /** Takes a `begin` back: there is nothing to record. */
  dismiss(): void {
    this.#underWay -= 1
  }

  /** Ends what `begin` began. Resolves when the event is on disk; StorageFailed when it could not be written yet. */
  record(clusterId: string, event: AuditEvent): Promise<void> {
    this.#underWay -= 1
    return this.note(clusterId, event)
  }

  /** Records what nobody waits for a reply to. As `record`. */
  note(clusterId: string, event: AuditEvent): Promise<void> {
    if (this.#closed) return Promise.reject(new HsmError('StorageFailed', 'the HSM is stopping'))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, clusterId, usecs: now(), resolve: () => resolve(), reject })
      this.#work()
    })
  }

  /** Writes what waits, then closes the file. */
  async close(): Promise<void> {
    clearTimeout(this.#retry)
    await this.#working
    this.#closed = true
    await this.#files.close()
  }

  async #resume(mark: Mark): Promise<void> {
    const { log } = this.#options
    await this.#files.make()
    const { file, length, sequence, hash, torn, damage } = await standingOf(this.#files.directory, mark)
    this.#file = file
    this.#sequence = sequence
    this.#hash = hash
    this.#damage = damage
    if (damage !== undefined)
      log.error({ damage }, 'the audit log is not as this HSM left it; it goes on in a new file')
    else if (file > 0) await this.#files.resume(file, length)
    await this.#keepReserve()
    if (torn === 0 || damage !== undefined) return
    log.warn({ bytes: torn }, 'the last line of the audit log was incomplete and was cut off')
    const repaired = this.#chain(this.#hash, [{ kind: 'repair', timestamp: Date.now(), bytes: torn }])
    await this.#append(repaired).catch((error: unknown) => this.#stall(error))
  }

  #work(): void {
    if (this.#working || this.#closed) return
    this.#working = this.#writeAll().finally(() => {
      this.#working = undefined
      if (this.#waiting.length > 0 && this.#full === undefined) this.#work()
    })
  }

  /** Writes until nothing waits or the disk is full. Never throws: each event learns of its own failure. */
  async #writeAll(): Promise<void> {
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = [...this.#waiting]
      try {
        await this.#write(batch)
      } catch (error) {
        // What was done stays to be written: it is not lost unless the process ends before there is room.
        for (const { reject } of batch) reject(notRecorded(error))
        this.#stall(error)
        return
      }
      this.#waiting.splice(0, batch.length)
      for (const { resolve } of batch) resolve()
    }
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const [first] = batch
    if (!first) return
    if (this.#file === 0 || this.#damage !== undefined || this.#files.length > this.#limits.fileBytes) {
      await this.#beginFile(first.clusterId)
    }
    const events = batch.map(({ event, usecs }, i): NewLine => {
      const sequence = this.#sequence + i
      const { operation, by, from } = event
      const message = eventText(event, { usecs, sequence, reboots: this.#reboots })
      return {
        kind: 'event',
        timestamp: Math.floor(usecs / 1000),
        sequence,
        operation,
        message,
        ...(by !== undefined && { by }),
        ...(from !== undefined && { from }),
      }
    })
    await this.#append(this.#chain(this.#hash, events, this.#sequence + batch.length))
    this.#sequence += batch.length
    if (batch.some(({ event }) => event.opcode !== 'SR_PEER_HEAD')) {
      this.#head = { events: this.#sequence, hash: this.#hash }
    }
  }

  async #beginFile(clusterId: string): Promise<void> {
    const { hsmId, device } = this.#options
    const file = this.#file + 1
    const head: NewLine = {
      kind: 'file',
      timestamp: Date.now(),
      format: AUDIT_FORMAT,
      hsmId,
      clusterId,
      file,
      sequence: this.#sequence,
      previous: this.#hash,
      certificates: device.tls.cert,
      ...(this.#damage !== undefined && { damage: this.#damage }),
    }
    await this.#files.begin(file)
    await this.#append(this.#chain(this.#hash, [head]))
    this.#file = file
    this.#damage = undefined
    for (const old of (await auditFilesIn(this.#files.directory)).slice(0, -this.#limits.files)) {
      await this.#files.remove(old)
    }
  }

  /** The text of some lines and of the checkpoint behind them, and its hash. */
  #chain(previous: string, lines: readonly NewLine[], events = this.#sequence): { text: string; hash: string } {
    const { hsmId, device } = this.#options
    const signer = (hash: string) => sign('sha256', signedText(hsmId, hash), device.key).toString('base64')
    let hash = previous
    let text = ''
    for (const line of [...lines, { kind: 'checkpoint', timestamp: Date.now(), events } as const]) {
      const chained = chainLine(hash, line, signer)
      hash = chained.hash
      text += chained.text
    }
    return { text, hash }
  }

  async #append({ text, hash }: { text: string; hash: string }): Promise<void> {
    try {
      await this.#files.append(text)
    } catch {
      // There may be room once the reserve is given up; operations that come after this one are refused then.
      await this.#files.spendReserve()
      await this.#files.append(text)
      await this.#keepReserve()
    }
    this.#hash = hash
  }

  async #keepReserve(): Promise<void> {
    try {
      await this.#files.makeReserve()
      if (this.#full !== undefined) this.#options.log.info('the audit log can be written again')
      this.#full = undefined
    } catch (error) {
      this.#stall(error)
    }
  }

  /** Refuses management operations from now on, and looks again in a while. */
  #stall(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (this.#full === undefined) this.#options.log.error({ reason }, 'the audit log cannot be written')
    this.#full = reason
    clearTimeout(this.#retry)
    if (this.#closed) return
    this.#retry = setTimeout(() => void this.#tryAgain(), this.#limits.retryMs).unref()
  }

  async #tryAgain(): Promise<void> {
    await this.#working
    await this.#keepReserve()
    if (this.#full === undefined && this.#waiting.length > 0) this.#work()
  }
}

function notRecorded(cause: unknown): HsmError {
  const text = 'it was carried out, but the audit log cannot be written: look at how things stand, and free some space'
  return new HsmError('StorageFailed', text, { cause })
}

/** Microseconds since 1970; the last three digits are those of a clock that only runs forward. */
function now(): number {
  return Date.now() * 1000 + Number((process.hrtime.bigint() / 1000n) % 1000n)
}
