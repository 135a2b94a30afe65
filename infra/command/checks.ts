/** What the doctor looks at, one function for each line. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdir, readdir, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { exists } from '../files/exists.ts'
import { bindable } from '../hosts/addresses.ts'
import { whoHasPort } from '../launcher/who-has-port.ts'
import { PLACES } from '../places.ts'
import { findBinaries } from '../postgres/binaries.ts'
import { databaseState } from '../postgres/ensure-database.ts'
import { unprivileged } from '../postgres/unprivileged.ts'
import { codeOf, textOf, Trouble } from '../trouble.ts'
import { checkHsms } from './check-hsms.ts'
import { observe } from './observe.ts'

export interface Finding {
  readonly what: string
  readonly verdict: 'ok' | 'warn' | 'fail'
  readonly says: string
  readonly mend?: string
}

export interface Place {
  readonly data: string
  readonly port: number
  /** URLs of the operator's databases, by region; empty with the embedded server, or when the configuration is not known. */
  readonly databases: ReadonlyMap<string, string>
}

const run = promisify(execFile)
const OLDEST_NODE = 24
/** The oldest whose OpenSSL an HSM can do everything with. */
const WHOLE_NODE = { major: 26, minor: 10 } as const
const SPACE_BYTES = { warn: 2 * 1024 ** 3, fail: 200 * 1024 ** 2 } as const

/** In the order in which they should be mended. */
export function checks(place: Place): readonly (() => Promise<Finding>)[] {
  return [
    node,
    ...databases(place),
    addresses,
    () => directory(place),
    () => space(place),
    () => secrets(place),
    () => port(place),
    () => tool('aws', 'The AWS CLI: https://docs.aws.amazon.com/cli/'),
    () => tool('openssl', 'apt-get install openssl, or brew install openssl'),
    clock,
    () => checkHsms(place.data),
    () => instance(place),
  ]
}

function node(): Promise<Finding> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isWhole = major > WHOLE_NODE.major || (major === WHOLE_NODE.major && minor >= WHOLE_NODE.minor)
  const verdict = isWhole ? 'ok' : major >= OLDEST_NODE ? 'warn' : 'fail'
  const runs = `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${process.platform} ${process.arch}`
  const lacks = `AES-CMAC and ML-DSA's external mu need Node ${WHOLE_NODE.major}.${WHOLE_NODE.minor}`
  const says = verdict === 'warn' ? `${runs}: ${lacks}` : runs
  return Promise.resolve({ what: 'node', verdict, says, mend: 'npm rebuild node' })
}

async function postgres({ data }: Place): Promise<Finding> {
  const what = 'postgres'
  try {
    const binaries = await findBinaries()
    const { prefix, user } = await unprivileged(join(data, PLACES.postgres, 'data'), binaries.postgres)
    const [program, ...args] = [...prefix, binaries.postgres, '--version']
    const { stdout } = await run(program, args, { ...user })
    const how = prefix.length > 0 ? ', in a user namespace' : user ? `, as user ${user.uid}` : ''
    return { what, verdict: 'ok', says: `${stdout.trim()}${how}` }
  } catch (error) {
    const mend = error instanceof Trouble ? error.mend : 'Or use a server of your own: set STRONGROOM_DATABASE_URL.'
    return { what, verdict: 'fail', says: textOf(error), ...(mend === undefined ? {} : { mend }) }
  }
}

/** The embedded server, or each database of the operator's. */
function databases(place: Place): (() => Promise<Finding>)[] {
  if (place.databases.size === 0) return [() => postgres(place)]
  return Array.from(
    place.databases,
    ([region, url]) =>
      () =>
        database(region, url),
  )
}

/** Whether a region can use, or make, its database on the operator's server. Makes nothing. */
async function database(region: string, url: string): Promise<Finding> {
  const what = 'database'
  const host = new URL(url).host || 'a local socket'
  try {
    const state = await databaseState(url)
    if (state === 'there') return { what, verdict: 'ok', says: `that of ${region} is on ${host}` }
    if (state === 'can be made') return { what, verdict: 'ok', says: `that of ${region} will be made on ${host}` }
    const says = `that of ${region} is not on ${host}, and the user of the URL may not make it`
    return { what, verdict: 'fail', says, mend: 'Make it yourself, owned by the user of the URL.' }
  } catch (error) {
    const mend = 'Correct STRONGROOM_DATABASE_URL, or databaseUrl in the configuration.'
    return { what, verdict: 'fail', says: `that of ${region} cannot be used on ${host}: ${textOf(error)}`, mend }
  }
}

async function addresses(): Promise<Finding> {
  const verdict = await bindable('127.83.71.1')
  if (verdict !== 'impossible') return { what: 'addresses', verdict: 'ok', says: 'loopback addresses can be bound' }
  return {
    what: 'addresses',
    verdict: 'fail',
    says: 'loopback addresses other than 127.0.0.1 cannot be bound: each HSM needs one',
    mend: 'On macOS: for i in $(seq 2 20); do sudo ifconfig lo0 alias 127.9.9.$i; done',
  }
}

async function directory({ data }: Place): Promise<Finding> {
  try {
    await mkdir(dirname(data), { recursive: true })
    await access((await exists(data)) ? data : dirname(data), constants.W_OK)
    return { what: 'data', verdict: 'ok', says: data }
  } catch (error) {
    return {
      what: 'data',
      verdict: 'fail',
      says: `${data} cannot be written: ${textOf(error)}`,
      mend: 'Choose another with --data or STRONGROOM_DATA.',
    }
  }
}

async function space({ data }: Place): Promise<Finding> {
  const { bavail, bsize } = await statfs((await exists(data)) ? data : dirname(data))
  const free = bavail * bsize
  const verdict = free < SPACE_BYTES.fail ? 'fail' : free < SPACE_BYTES.warn ? 'warn' : 'ok'
  return { what: 'disk', verdict, says: `${(free / 1024 ** 3).toFixed(1)} GiB free`, mend: 'Free some space.' }
}

/** What only its owner may read: keys, passwords, and a configuration with access keys. */
async function secrets({ data }: Place): Promise<Finding> {
  const files = [
    join(data, PLACES.configuration),
    join(data, PLACES.postgres, 'password'),
    ...(await readdir(join(data, PLACES.fleet)).catch(() => []))
      .filter((name) => name.endsWith('.key'))
      .map((name) => join(data, PLACES.fleet, name)),
  ]
  const open: string[] = []
  for (const file of files) {
    const found = await stat(file).catch(() => undefined)
    if (found && (found.mode & 0o077) !== 0) open.push(file)
  }
  if (open.length === 0) return { what: 'secrets', verdict: 'ok', says: 'readable by their owner only' }
  return {
    what: 'secrets',
    verdict: 'warn',
    says: `open to others: ${open.join(', ')}`,
    mend: `chmod 600 ${open.join(' ')}`,
  }
}

async function port({ data, port: wanted }: Place): Promise<Finding> {
  const what = 'port'
  const { url } = await observe(data)
  if (url?.endsWith(`:${wanted}`) === true) return { what, verdict: 'ok', says: `${wanted} is ours` }
  const server = createServer()
  try {
    server.listen(wanted, '127.0.0.1')
    await once(server, 'listening')
    return { what, verdict: 'ok', says: `${wanted} is free` }
  } catch (error) {
    const isTaken = codeOf(error) === 'EADDRINUSE'
    const says = isTaken ? `${wanted} is in use by ${await whoHasPort('127.0.0.1', wanted)}` : textOf(error)
    return { what, verdict: url === undefined ? 'fail' : 'ok', says, mend: 'Choose another with --port.' }
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

async function tool(name: string, mend: string): Promise<Finding> {
  try {
    const { stdout, stderr } = await run(name, [name === 'openssl' ? 'version' : '--version'])
    return { what: name, verdict: 'ok', says: (stdout || stderr).trim().split('\n')[0] ?? '' }
  } catch {
    return { what: name, verdict: 'warn', says: 'is not on the PATH; Strongroom runs without, a tour does not', mend }
  }
}

/** Signatures are good for five minutes, so that a clock that stands in another year shows nowhere but in refusals. */
function clock(): Promise<Finding> {
  const now = new Date()
  const isSane = now.getUTCFullYear() >= 2026
  const says = now.toISOString()
  return Promise.resolve({ what: 'clock', verdict: isSane ? 'ok' : 'warn', says, mend: 'Set the clock.' })
}

async function instance({ data }: Place): Promise<Finding> {
  const what = 'instance'
  const { url, ready, processes } = await observe(data)
  if (url === undefined && processes.some((each) => each.pid !== undefined)) {
    const mend = 'strongroom up takes over what runs; strongroom down ends it.'
    return { what, verdict: 'warn', says: 'its launcher is gone, and some of its processes run on', mend }
  }
  if (url === undefined) return { what, verdict: 'ok', says: 'does not run' }
  const unwell = processes.filter(({ state }) => state !== 'running' && state !== 'ready')
  if (ready && unwell.length === 0) return { what, verdict: 'ok', says: `ready at ${url}` }
  const says = unwell.map(({ name, state }) => `${name} ${state}`).join('; ')
  return { what, verdict: 'warn', says: says || 'is not ready', mend: `strongroom logs --data ${data}` }
}
