/**
 * Checks audit files with nothing but the fleet's root certificate: every line follows from the one before it, no number
 * is missing, and the HSM's device key, certified up to the root, signed for all of it.
 */
import { verify, X509Certificate } from 'node:crypto'
import { AUDIT_BEGINNING, type AuditHead, type AuditLine } from '../provider-schema/audit-file.ts'
import { readLine, signedText } from './chain.ts'
import { certifiedDevice } from './device.ts'
import { headIn } from './peer-head.ts'

export interface AuditFile {
  /** What findings call it. */
  readonly name: string
  readonly text: string
}

export interface Finding {
  readonly file: string
  /** From 1; 0 for the file as a whole. */
  readonly line: number
  readonly says: string
}

export interface VerifyOptions {
  /** PEM. */
  readonly root: string
  /** Number of the first event that is to be there: older files were removed on purpose. Default 0. */
  readonly from?: number
  /** A checkpoint's hash, noted earlier, that must be among the lines. */
  readonly head?: string
}

export interface Verified {
  readonly hsmId: string | undefined
  readonly clusterId: string | undefined
  readonly events: number
  /** Newest checkpoint: how many events it covers, when it was signed (epoch milliseconds), its hash. */
  readonly head: { readonly events: number; readonly timestamp: number; readonly hash: string } | undefined
  readonly findings: readonly Finding[]
  /** Events before this number are in no file. */
  readonly from: number
  /** Hashes of all checkpoints. */
  readonly checkpoints: ReadonlySet<string>
  /** What it says of the ends of other HSMs' logs, and where. */
  readonly peerHeads: readonly PeerHead[]
  /** What findings call the newest file. */
  readonly lastFile: string
}

export interface PeerHead extends AuditHead {
  readonly hsmId: string
  readonly file: string
  readonly line: number
}

/** Looks at the files of one HSM, in whatever order they are given. */
export function verifyAudit(files: readonly AuditFile[], options: VerifyOptions): Verified {
  const checker = new Checker(options)
  const inOrder = files
    .map((file) => ({ ...file, number: numberOf(file) ?? Number.MAX_SAFE_INTEGER }))
    .sort((a, b) => a.number - b.number)
  for (const file of inOrder) checker.file(file)
  return checker.end()
}

function numberOf({ text }: AuditFile): number | undefined {
  const first = readLine(text.slice(0, text.indexOf('\n')))
  return first?.line.kind === 'file' ? first.line.file : undefined
}

type Head = Extract<AuditLine, { kind: 'file' }>
type Checkpoint = Extract<AuditLine, { kind: 'checkpoint' }>

class Checker {
  readonly #options: VerifyOptions
  readonly #root: X509Certificate
  readonly #findings: Finding[] = []
  readonly #hashes = new Set<string>()
  readonly #peerHeads: PeerHead[] = []
  #from: number | undefined
  /** Of the line before; undefined at the first file and behind a line that cannot be read. */
  #previous: string | undefined
  #sequence: number
  #events = 0
  #at = { file: '', line: 0 }
  #head: Head | undefined
  #device: X509Certificate | undefined
  #newest: Verified['head']

  constructor(options: VerifyOptions) {
    this.#options = options
    this.#root = new X509Certificate(options.root)
    this.#sequence = options.from ?? 0
  }

  file({ name, text }: AuditFile): void {
    const lines = text.split('\n')
    const rest = lines.pop()
    // Lines since the newest checkpoint: nobody signed for them yet.
    let unsigned = 0
    for (const [i, each] of lines.entries()) {
      this.#at = { file: name, line: i + 1 }
      const isSigned = this.#line(each, i === 0)
      unsigned = isSigned ? 0 : unsigned + 1
    }
    this.#at = { file: name, line: lines.length + (rest === '' ? 0 : 1) }
    if (rest !== '') this.#find('the line is cut short')
    else if (unsigned > 0) this.#find(`the file ends without a checkpoint for its last ${unsigned} lines: it was cut`)
    if (lines.length === 0) this.#find('the file holds no line')
  }

  end(): Verified {
    const { head } = this.#options
    this.#at = { file: this.#at.file, line: 0 }
    if (head !== undefined && !this.#hashes.has(head)) {
      this.#find(`the checkpoint ${head} is not there: the end of the log was cut off, or this is another log`)
    }
    if (!this.#head) this.#find('there is no audit log in what was given')
    return {
      hsmId: this.#head?.hsmId,
      clusterId: this.#head?.clusterId,
      events: this.#events,
      head: this.#newest,
      findings: this.#findings,
      from: this.#from ?? 0,
      checkpoints: this.#hashes,
      peerHeads: this.#peerHeads,
      lastFile: this.#at.file,
    }
  }

  /** Gives whether the line is a checkpoint whose signature holds. */
  #line(text: string, isFirst: boolean): boolean {
    const read = readLine(text)
    if (!read) {
      this.#find('this is no line of an audit log: it was altered')
      this.#previous = undefined
      return false
    }
    const { line } = read
    if (isFirst && line.kind !== 'file') this.#find('the first line of the file is missing')
    if (!isFirst && line.kind === 'file') this.#find('the first line of a file stands in the middle of one')
    const expected = this.#previous ?? (line.kind === 'file' ? line.previous : undefined)
    if (expected !== undefined && !read.follows(expected)) {
      this.#find('the line was altered, or one before it was removed, inserted or moved')
    }
    this.#previous = line.hash
    if (line.kind === 'file') this.#begins(line)
    if (line.kind === 'event') this.#event(line)
    return line.kind === 'checkpoint' && this.#checkpoint(line)
  }

  #begins(head: Head): void {
    const before = this.#head
    if (before && before.hsmId !== head.hsmId) this.#find(`the file is of ${head.hsmId}, the others of ${before.hsmId}`)
    if (before && head.file !== before.file + 1) {
      this.#find(`file ${head.file} comes behind file ${before.file}: what is between them is missing`)
    }
    const from = this.#options.from ?? 0
    if (!before && from === 0 && (head.file !== 1 || head.previous !== AUDIT_BEGINNING)) {
      this.#find(`the files before file ${head.file} are missing`)
    }
    if (!before && from >= head.sequence) this.#sequence = head.sequence
    if (head.damage !== undefined) this.#find(`the HSM itself found the log damaged before this file: ${head.damage}`)
    if (head.sequence !== this.#sequence) this.#gap(head.sequence)
    this.#from ??= head.sequence
    this.#head = head
    this.#device = this.#certified(head)
  }

  #event({ sequence, message }: Extract<AuditLine, { kind: 'event' }>): void {
    this.#events += 1
    const head = headIn(message)
    if (head) this.#peerHeads.push({ ...head, ...this.#at })
    if (sequence !== this.#sequence) this.#gap(sequence)
    this.#sequence = sequence + 1
  }

  #gap(sequence: number): void {
    const last = sequence - 1
    this.#find(
      sequence > this.#sequence
        ? `the events ${hex(this.#sequence)} to ${hex(last)} before this line are missing`
        : `the event ${hex(sequence)} comes again, or at the wrong place`,
    )
    this.#sequence = sequence
  }

  #checkpoint(line: Checkpoint): boolean {
    this.#hashes.add(line.hash)
    if (line.events !== this.#sequence) {
      this.#find(`the HSM signed for ${line.events} events, and there are ${this.#sequence}`)
    }
    if (!this.#head || !this.#device) return false
    const signature = Buffer.from(line.signature, 'base64')
    if (!verify('sha256', signedText(this.#head.hsmId, line.hash), this.#device.publicKey, signature)) {
      this.#find('the signature does not hold: a line since the checkpoint before was altered and chained anew')
      return false
    }
    this.#newest = { events: line.events, timestamp: line.timestamp, hash: line.hash }
    return true
  }

  /** The device's certificate, if the fleet's root stands behind it. */
  #certified({ certificates, hsmId }: Head): X509Certificate | undefined {
    const device = certifiedDevice(certificates, hsmId, this.#root)
    if (!device)
      this.#find(`the certificate in the file is not one of ${hsmId} under this root: nobody vouches for the file`)
    return device
  }

  #find(says: string): void {
    this.#findings.push({ ...this.#at, says })
  }
}

const hex = (value: number) => `0x${value.toString(16)}`
