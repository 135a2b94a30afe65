/** `strongroom audit`: the audit logs that were delivered, read and verified. Nothing needs to run for it. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readLine } from '../../audit-log/chain.ts'
import { AUDIT_DIRECTORY } from '../../provider-schema/audit-file.ts'
import { compareLogs } from '../../audit-log/compare.ts'
import { verifyAudit, type AuditFile, type Verified } from '../../audit-log/verify.ts'
import { filePathsOf, streamsIn, type AuditStream } from '../audit/places.ts'
import { dataDirectory } from '../configuration/load.ts'
import { PLACES } from '../places.ts'
import { regionNames, regionPlaces } from '../region/places.ts'
import { Trouble } from '../trouble.ts'
import type { AuditListFlags, AuditShowFlags, AuditVerifyFlags } from './flags.ts'
import { table } from './table.ts'

interface Stream extends AuditStream {
  readonly region: string
  /** The HSM's own files, as long as its directory is there. */
  readonly own: string
}

/** Events of one stream, oldest first. */
interface Event {
  readonly timestamp: number
  readonly sequence: number
  readonly message: string
  readonly json: string
}

export async function auditList(flags: AuditListFlags): Promise<void> {
  const streams = await allStreams(dataDirectory(flags.data))
  const rows = await Promise.all(
    streams.map(async (stream) => {
      const events = await eventsOf(stream)
      const newest = events.at(-1)
      return {
        logGroup: `/aws/cloudhsm/${stream.clusterId}`,
        logStream: stream.hsmId,
        region: stream.region,
        events: events.length,
        newest: newest === undefined ? undefined : new Date(newest.timestamp).toISOString(),
        directory: stream.directory,
      }
    }),
  )
  if (flags.json === true) {
    print(`${JSON.stringify(rows, null, 2)}\n`)
    return
  }
  const head = ['LOG GROUP', 'LOG STREAM', 'REGION', 'EVENTS', 'NEWEST']
  const cells = rows.map((row) => [row.logGroup, row.logStream, row.region, String(row.events), row.newest ?? '–'])
  print(rows.length === 0 ? 'There is no audit log yet: the first HSM of a cluster begins one.\n' : table(head, cells))
}

export async function auditShow(flags: AuditShowFlags): Promise<void> {
  const lines = z.coerce.number().int().min(0).safeParse(flags.lines)
  if (!lines.success) throw new Trouble(`--lines ${flags.lines} is not a number of events.`)
  const streams = await chosen(flags)
  const events = (await Promise.all(streams.map(async (stream) => eventsOf(stream))))
    .flat()
    .toSorted((a, b) => a.timestamp - b.timestamp)
  for (const { message, json } of lines.data === 0 ? [] : events.slice(-lines.data)) {
    print(flags.json === true ? `${json}\n` : `${message}\n\n`)
  }
}

/** Exit code 1 when a line was removed, altered, moved or inserted. */
export async function auditVerify(paths: readonly string[], flags: AuditVerifyFlags): Promise<void> {
  const root = await rootOf(flags)
  const from = z.coerce.number().int().min(0).optional().safeParse(flags.from)
  if (!from.success) throw new Trouble(`--from ${flags.from ?? ''} is not a number of an event.`)
  const options = {
    root,
    ...(from.data !== undefined && { from: from.data }),
    ...(flags.head !== undefined && { head: flags.head }),
  }
  if (paths.length > 0) {
    const logs = await Promise.all((await logsIn(paths)).map(async (each) => verifyAudit(await read(each), options)))
    compareLogs(logs).forEach(report)
    return
  }
  const streams = await Promise.all(
    (await chosen(flags)).map(async (stream) => {
      const delivered = await read(await filePathsOf(stream.directory))
      const verified = inItsPlace(stream, verifyAudit(delivered, options))
      return { verified, compared: await comparedWithOwn(stream, delivered) }
    }),
  )
  const logs = compareLogs(streams.map((stream) => stream.verified))
  for (const [i, verified] of logs.entries()) {
    report(verified)
    report(streams[i]?.compared)
  }
  if (flags.hsm === undefined) noteAbsent(logs)
}

/** A log under the name of another HSM hides that the other's is gone. */
function inItsPlace({ clusterId, hsmId, directory }: Stream, verified: Verified): Verified {
  if (verified.hsmId === undefined) return verified
  if (verified.hsmId === hsmId && verified.clusterId === clusterId) return verified
  const says = `this is the log of ${verified.hsmId} of ${verified.clusterId ?? 'no cluster'}, in the place of ${hsmId}'s`
  return { ...verified, findings: [...verified.findings, { file: directory, line: 0, says }] }
}

/** A whole log may be missing, or be on the host where its HSM ran: only who reads it knows. */
function noteAbsent(logs: readonly Verified[]): void {
  for (const { hsmId = '', clusterId = '', peerHeads } of logs) {
    const here = new Set(logs.flatMap((log) => (log.clusterId === clusterId ? [log.hsmId] : [])))
    const newest = new Map(peerHeads.filter((head) => !here.has(head.hsmId)).map((head) => [head.hsmId, head]))
    for (const [absent, { events }] of newest) {
      print(`note  ${clusterId} ${absent}: ${hsmId} saw ${events} events of its log, which is not here\n`)
    }
  }
}

/** Each directory that is named is a log of its own; files that are named are one together. */
async function logsIn(paths: readonly string[]): Promise<string[][]> {
  const isDirectory = async (path: string) => (await stat(path).catch(() => undefined))?.isDirectory() ?? false
  const kinds = await Promise.all(paths.map(isDirectory))
  const files = paths.filter((_, i) => !kinds[i])
  const directories = paths.filter((_, i) => kinds[i])
  return [...directories.map((path) => [path]), ...(files.length > 0 ? [files] : [])]
}

/** As long as the HSM is there, its own files must begin with what was delivered, and hold nothing that is not signed. */
async function comparedWithOwn(stream: Stream, delivered: readonly AuditFile[]): Promise<Reported | undefined> {
  const own = await read(await filePathsOf(stream.own))
  if (own.length === 0) return undefined
  const name = (path: string) => path.slice(path.lastIndexOf('/') + 1)
  const findings = delivered.flatMap((file) => {
    const same = own.find((each) => name(each.name) === name(file.name))
    if (!same || same.text.startsWith(file.text)) return []
    return [{ file: file.name, line: 0, says: `differs from what the HSM has in ${same.name}` }]
  })
  return findings.length === 0
    ? undefined
    : { hsmId: stream.hsmId, clusterId: stream.clusterId, events: 0, head: undefined, findings }
}

type Reported = Pick<Verified, 'hsmId' | 'clusterId' | 'events' | 'head' | 'findings'>

function report(verified: Reported | undefined): void {
  if (!verified) return
  const { hsmId = 'unknown', clusterId = 'unknown', events, head, findings } = verified
  for (const { file, line, says } of findings) {
    process.exitCode = 1
    print(`FAIL  ${file}${line > 0 ? `:${line}` : ''}: ${says}\n`)
  }
  if (findings.length > 0 || !head) return
  const until = `${head.events} signed for at ${new Date(head.timestamp).toISOString()}`
  print(`ok    ${clusterId} ${hsmId}: ${events} events, ${until}\n      head ${head.hash}\n`)
}

async function chosen(flags: { data?: string; cluster?: string; hsm?: string }): Promise<Stream[]> {
  const data = dataDirectory(flags.data)
  const all = await allStreams(data)
  const streams = all.filter(
    ({ clusterId, hsmId }) =>
      (flags.cluster === undefined || clusterId === flags.cluster) && (flags.hsm === undefined || hsmId === flags.hsm),
  )
  if (streams.length > 0) return streams
  const known = [...new Set(all.map(({ clusterId }) => clusterId))].join(', ')
  throw new Trouble(`There is no such audit log in ${data}.`, known === '' ? {} : { mend: `There are: ${known}` })
}

async function allStreams(data: string): Promise<Stream[]> {
  const regions = await regionNames(data)
  const streams = await Promise.all(
    regions.map(async (region) => {
      const { logs, hsms } = regionPlaces(data, region)
      return (await streamsIn(logs)).map((each) => ({ ...each, region, own: join(hsms, each.hsmId, AUDIT_DIRECTORY) }))
    }),
  )
  return streams.flat()
}

async function eventsOf({ directory }: AuditStream): Promise<Event[]> {
  const files = await read(await filePathsOf(directory))
  return files.flatMap(({ text }) =>
    text.split('\n').flatMap((json) => {
      const line = readLine(json)?.line
      if (line?.kind !== 'event') return []
      const { timestamp, sequence, message } = line
      return [{ timestamp, sequence, message, json }]
    }),
  )
}

async function read(paths: readonly string[]): Promise<AuditFile[]> {
  const given = await Promise.all(
    paths.map(async (path) => {
      const found = await stat(path).catch(() => undefined)
      if (!found) throw new Trouble(`There is no file ${path}.`)
      return found.isDirectory() ? filePathsOf(path) : [path]
    }),
  )
  return Promise.all(given.flat().map(async (name) => ({ name, text: await readFile(name, 'utf8') })))
}

async function rootOf({ data, root }: AuditVerifyFlags): Promise<string> {
  const path = root ?? join(dataDirectory(data), PLACES.fleet, 'root.pem')
  return readFile(path, 'utf8').catch(() => {
    throw new Trouble(`The root certificate of the fleet cannot be read: ${path}`, {
      mend: 'Name it with --root FILE.',
    })
  })
}

function print(text: string): void {
  process.stdout.write(text)
}
