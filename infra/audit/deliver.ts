/**
 * Delivers the audit logs of a host's HSMs. What they write is read from their own files, so that it works for an HSM that
 * was zeroised or does not run any more, and asks nothing of one that does. Only whole, signed writes are delivered.
 */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { readLine } from '../../audit-log/chain.ts'
import { auditFilesIn } from '../../audit-log/files.ts'
import { AUDIT_DIRECTORY, auditFileName } from '../../provider-schema/audit-file.ts'
import { syncDirectory } from '../files/durable.ts'
import { streamOf, streamsIn } from './places.ts'

export interface DeliveryOptions {
  /** The directory of the host's HSMs. */
  readonly hsms: string
  /** The directory of the region's logs. */
  readonly logs: string
  /** Delivered files that were not written to for this long are removed; undefined keeps them for ever. */
  readonly retentionDays: number | undefined
  readonly log: Logger
  readonly signal: AbortSignal
  readonly everyMs?: number
}

const EVERY_MS = 1_000
const PRUNE_MS = 60 * 60_000
const DAY_MS = 24 * 60 * 60_000
/** Bytes read at once. */
const PIECE_BYTES = 1024 * 1024

/** What was delivered is not what the HSM has: its file was tampered with. */
export class AuditMismatch extends Error {}

/** Delivers until the signal fires, and then once more. Never throws: what fails is logged and tried again. */
export async function deliverAudits(options: DeliveryOptions): Promise<void> {
  let pruneAt = 0
  let complaint: string | undefined
  for (let last = false; !last;) {
    last = options.signal.aborted
    try {
      for (const hsmId of await hsmIds(options.hsms)) await deliverAudit(join(options.hsms, hsmId), options.logs)
      if (options.retentionDays !== undefined && pruneAt <= Date.now()) {
        await prune(options.logs, options.retentionDays * DAY_MS)
        pruneAt = Date.now() + PRUNE_MS
      }
      complaint = undefined
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== complaint) options.log.error({ reason }, 'audit logs could not be delivered')
      complaint = reason
    }
    if (!last) await sleep(options.everyMs ?? EVERY_MS, undefined, { signal: options.signal }).catch(() => undefined)
  }
}

/** Delivers the end of the log of an HSM that is about to be removed. Throws when that is worth another attempt. */
export async function deliverEnd(hsmDirectory: string, logs: string, log: Logger): Promise<void> {
  await deliverAudit(hsmDirectory, logs).catch((error: unknown) => {
    // What is wrong with it does not get better; what was delivered before is kept.
    if (!(error instanceof AuditMismatch)) throw error
    log.error({ reason: error.message }, 'the end of an audit log could not be delivered')
  })
}

/** Delivers what is new of one HSM's log. Throws AuditMismatch when the HSM has less than was delivered. */
export async function deliverAudit(hsmDirectory: string, logs: string): Promise<void> {
  const own = join(hsmDirectory, AUDIT_DIRECTORY)
  for (const file of await auditFilesIn(own)) await deliverFile(join(own, auditFileName(file)), file, logs)
}

async function deliverFile(path: string, file: number, logs: string): Promise<void> {
  const source = await open(path, 'r')
  try {
    const { size } = await source.stat()
    const head = await headOf(source)
    if (!head) return
    const { directory } = streamOf(logs, head.clusterId, head.hsmId)
    const target = join(directory, auditFileName(file))
    const delivered = await sizeOf(target)
    if (delivered === size) return
    if (delivered > size) {
      throw new AuditMismatch(
        `${path} is shorter than what was delivered of it: its end was cut off. ${target} is kept`,
      )
    }
    const [oldest] = await auditFilesIn(directory)
    // Removed after its time, and the HSM still has it.
    if (delivered === 0 && oldest !== undefined && file < oldest) return
    await copy(source, { from: delivered, to: size }, directory, target)
  } finally {
    await source.close()
  }
}

type File = Awaited<ReturnType<typeof open>>

/**
 * Puts each byte where it stands in the HSM's own file: the end of a log may be delivered while all are, and what both of
 * them write is there once.
 */
async function copy(source: File, { from, to }: { from: number; to: number }, directory: string, path: string) {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const target = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o600)
  try {
    let at = from
    while (at < to) {
      const piece = Buffer.alloc(Math.min(PIECE_BYTES, to - at))
      const { bytesRead } = await source.read(piece, 0, piece.length, at)
      const signed = signedPart(piece.subarray(0, bytesRead))
      if (signed === 0) break
      for (const end = at + signed, start = at; at < end;) {
        at += (await target.write(piece, at - start, end - at, at)).bytesWritten
      }
    }
    await target.datasync()
  } finally {
    await target.close()
  }
  if (from === 0) await syncDirectory(directory)
}

/** Bytes up to the end of the last checkpoint. */
function signedPart(piece: Buffer): number {
  const begin = piece.lastIndexOf('\n{"kind":"checkpoint"')
  if (begin < 0) return 0
  const end = piece.indexOf('\n', begin + 1)
  return end < 0 ? signedPart(piece.subarray(0, begin + 1)) : end + 1
}

async function headOf(source: File) {
  const piece = Buffer.alloc(16_384)
  const { bytesRead } = await source.read(piece, 0, piece.length, 0)
  const end = piece.subarray(0, bytesRead).indexOf('\n')
  const line = end < 0 ? undefined : readLine(piece.toString('utf8', 0, end))?.line
  return line?.kind === 'file' ? line : undefined
}

/** Removes what is older, but never the newest file of a stream: numbers go on from it. */
async function prune(logs: string, ms: number): Promise<void> {
  for (const { directory } of await streamsIn(logs)) {
    for (const file of (await auditFilesIn(directory)).slice(0, -1)) {
      const path = join(directory, auditFileName(file))
      if ((await stat(path)).mtimeMs < Date.now() - ms) await rm(path)
    }
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

async function hsmIds(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).filter((name) => name.startsWith('hsm-'))
}
