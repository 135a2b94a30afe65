/**
 * How the lines of an audit file hang together. Each is JSON that ends in its hash: SHA-256 over the hash of the line
 * before it, a line feed, and the line without its hash. A checkpoint also carries a signature over its hash by the HSM's
 * device key, so that whoever alters a line must forge that signature: the hashes alone anybody could make anew.
 */
import { createHash } from 'node:crypto'
import { auditLine, type AuditLine } from '../provider-schema/audit-file.ts'

type Unhashed<Line> = Line extends AuditLine ? Omit<Line, 'hash' | 'signature'> : never
export type NewLine = Unhashed<AuditLine>

export interface Chained {
  /** With its line feed. */
  readonly text: string
  readonly hash: string
}

/** A line that follows the one with the hash `previous`. A checkpoint is signed by `signer`. */
export function chainLine(previous: string, line: NewLine, signer: (hash: string) => string): Chained {
  const body = JSON.stringify(line)
  const own = hashOf(previous, body)
  const signature = line.kind === 'checkpoint' ? `,"signature":"${signer(own)}"` : ''
  return { text: `${body.slice(0, -1)},"hash":"${own}"${signature}}\n`, hash: own }
}

export interface ReadLine {
  readonly line: AuditLine
  /** Whether it follows the line with this hash. */
  follows(previous: string): boolean
}

const ENDING = /,"hash":"([0-9a-f]{64})"(,"signature":"[A-Za-z0-9+/=]+")?\}$/

/** Takes a line (without its line feed) apart; undefined when it is none. */
export function readLine(text: string): ReadLine | undefined {
  const ending = ENDING.exec(text)
  if (!ending) return undefined
  let parsed: ReturnType<typeof auditLine.safeParse>
  try {
    parsed = auditLine.safeParse(JSON.parse(text))
  } catch {
    return undefined
  }
  if (!parsed.success) return undefined
  const line = parsed.data
  const body = `${text.slice(0, ending.index)}}`
  return { line, follows: (previous) => hashOf(previous, body) === line.hash }
}

/** What a checkpoint's signature (ECDSA with SHA-256, DER, base64) is over. */
export function signedText(hsmId: string, lineHash: string): Buffer {
  return Buffer.from(`strongroom audit checkpoint v1\n${hsmId}\n${lineHash}`)
}

function hashOf(previous: string, body: string): string {
  return createHash('sha256').update(`${previous}\n${body}`).digest('hex')
}
