/**
 * The files of an HSM's audit log, `audit/000001.jsonl`, … in its directory, and their lines. How lines are chained and
 * signed: `audit-log/chain.ts`.
 *
 *   {"kind":"file", …}        first line of a file: whose it is, which entry comes first, the device's certificates
 *   {"kind":"event", …}       one event; `message` is AWS's text
 *   {"kind":"repair", …}      a line that a power cut left incomplete was cut off here
 *   {"kind":"checkpoint", …}  everything before it was on disk at this time; ends every write
 */
import { z } from 'zod'

/** In an HSM's directory. Holds no secret, and outlives zeroising. */
export const AUDIT_DIRECTORY = 'audit'

const NAME = /^(\d{6})\.jsonl$/
export const auditFileName = (file: number) => `${String(file).padStart(6, '0')}.jsonl`

/** Numbers of the audit files among the names of a directory, ascending. */
export const auditFileNumbers = (names: readonly string[]) =>
  names
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)

/** What the first line of the first file follows. */
export const AUDIT_BEGINNING = '0'.repeat(64)
export const AUDIT_FORMAT = 1

/** SHA-256 of a line and all before it, hexadecimal. */
const hash = z.string().regex(/^[0-9a-f]{64}$/)
const common = { timestamp: z.number().int(), hash }

export const auditLine = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('file'),
    ...common,
    format: z.literal(AUDIT_FORMAT),
    hsmId: z.string(),
    clusterId: z.string(),
    /** 1 for the first; each file is one higher than the one before it. */
    file: z.number().int().min(1),
    /** Sequence number of the first event that is not in an earlier file. */
    sequence: z.number().int().min(0),
    /** Hash of the last line of the file before. */
    previous: hash,
    /** PEM: the device certificate and the manufacturer CA. */
    certificates: z.string(),
    /** What was wrong with the files before, when the HSM could not go on from them. */
    damage: z.string().optional(),
  }),
  z.strictObject({
    kind: z.literal('event'),
    ...common,
    sequence: z.number().int().min(0),
    operation: z.string(),
    message: z.string(),
    by: z.string().optional(),
    from: z.string().optional(),
  }),
  z.strictObject({ kind: z.literal('repair'), ...common, bytes: z.number().int() }),
  z.strictObject({
    kind: z.literal('checkpoint'),
    ...common,
    /** How many events there were so far, over all files. */
    events: z.number().int().min(0),
    signature: z.base64(),
  }),
])
export type AuditLine = z.infer<typeof auditLine>

/** How far a log is: its newest checkpoint. */
export const auditHead = z.object({
  /** How many events there were. */
  events: z.number().int().min(0),
  /** Of the checkpoint behind them. */
  hash,
})
export type AuditHead = z.infer<typeof auditHead>
