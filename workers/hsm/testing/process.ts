/** Real HSM processes for tests: each in a directory of its own, on a loopback address of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { HSM_FILES, type HsmConfig } from '../../../provider-schema/hsm-directory.ts'
import { clientOperations, type ClientOperations } from '../protocol/client-operations.ts'
import { openConnection, type Connection } from '../protocol/connection.ts'
import { managementOperations, type ManagementOperations } from '../protocol/management-operations.ts'
import type { Member } from '../protocol/values.ts'
import { customerCa, fleetPki, type CustomerCa, type FleetPki } from './pki.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
/** Generous: other tests share the machine. */
const START_TIMEOUT_MS = 30_000

export interface HsmProcess {
  readonly hsmId: string
  readonly directory: string
  readonly config: HsmConfig
  readonly member: Member
  /** Of the process that runs now. */
  readonly pid: number
  /** All it has printed, over restarts. */
  readonly output: string
  /** Starts the process (again) and waits until it listens. Throws what it printed when it ends instead. */
  start(): Promise<void>
  /** Sends the signal to the process this one started, and waits for its end. Gives its exit code, null for a signal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** The caller closes it. */
  management(): Promise<Connection<ManagementOperations>>
  /** A client connection that has said hello. The caller closes it. */
  client(ca: string): Promise<Connection<ClientOperations>>
  /** Kills the process if it runs and removes the directory. */
  dispose(): Promise<void>
}

export interface HsmProcessOptions {
  readonly pki: FleetPki
  readonly hsmType?: string
  readonly keySeparation?: HsmConfig['keySeparation']
  /** Command to put before node, for instance `['taskset', '-c', '0']`. */
  readonly prefix?: readonly string[]
  /** Where it listens; a free loopback address when left out. */
  readonly address?: string
}

/** Makes an HSM's directory and plays its host: brings the device certificate and starts the process. */
export async function startHsmProcess(options: HsmProcessOptions): Promise<HsmProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'hsm-'))
  const hsm = new HostedHsm(directory, await configure(directory, options), options)
  try {
    await hsm.start()
    return hsm
  } catch (error) {
    await hsm.dispose()
    throw error
  }
}

class HostedHsm implements HsmProcess {
  readonly directory: string
  readonly config: HsmConfig
  output = ''
  readonly #options: HsmProcessOptions
  #child: ChildProcess | undefined
  #ended: Promise<number | null> = Promise.resolve(0)

  constructor(directory: string, config: HsmConfig, options: HsmProcessOptions) {
    this.directory = directory
    this.config = config
    this.#options = options
  }

  get hsmId(): string {
    return this.config.hsmId
  }

  get member(): Member {
    const { hsmId, address, eniIp } = this.config
    return { hsmId, address, eniIp }
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('the HSM process does not run')
    return pid
  }

  async start(): Promise<void> {
    const [program, ...args] = [...(this.#options.prefix ?? []), process.execPath, MAIN, '--dir', this.directory]
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    const state = { running: true }
    this.#ended = new Promise((resolve) => {
      child.once('close', (code) => {
        state.running = false
        resolve(code)
      })
    })
    const deadline = Date.now() + START_TIMEOUT_MS
    while (Date.now() < deadline) {
      if (!state.running) throw new Error(`the HSM process ended: ${this.output}`)
      await this.#certify()
      if (await this.#listens(child.pid)) return
      await sleep(10)
    }
    throw new Error(`the HSM process does not listen after ${START_TIMEOUT_MS} ms: ${this.output}`)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child?.kill(signal)
    return this.#ended
  }

  management(): Promise<Connection<ManagementOperations>> {
    const { address: host, ports, trust } = this.config
    const tls = { ...this.#options.pki.control('test'), ca: trust.manufacturerCa, allowPartialTrustChain: true }
    return openConnection({ host, port: ports.management, operations: managementOperations, tls })
  }

  async client(ca: string): Promise<Connection<ClientOperations>> {
    const { address: host, ports } = this.config
    const connection = await openConnection({ host, port: ports.client, operations: clientOperations, tls: { ca } })
    await connection.call('hello', { client: 'test', protocol: 1 })
    return connection
  }

  async dispose(): Promise<void> {
    await this.stop('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
  }

  /** What the host does when the HSM has left a request. */
  async #certify(): Promise<void> {
    const path = (name: string) => join(this.directory, name)
    const request = await textOf(path(HSM_FILES.deviceCsr))
    if (request === undefined || (await textOf(path(HSM_FILES.deviceChain))) !== undefined) return
    const { deviceChain, providerChain } = this.#options.pki.issueDevice(request, this.hsmId)
    await writeFile(path(HSM_FILES.providerChain), providerChain)
    await writeFile(path(HSM_FILES.deviceChain), deviceChain)
  }

  async #listens(pid: number | undefined): Promise<boolean> {
    const text = await textOf(join(this.directory, HSM_FILES.running))
    return text !== undefined && text.includes(`"pid":${pid ?? 0},`)
  }
}

async function configure(directory: string, options: HsmProcessOptions): Promise<HsmConfig> {
  const { pki, hsmType = 'hsm2m.medium', keySeparation, address = await freeAddress() } = options
  const fleetBackupKeyFile = join(directory, 'fleet', 'backup.key')
  await mkdir(join(directory, 'fleet'))
  await writeFile(fleetBackupKeyFile, pki.backupKey, { mode: 0o600 })
  const config: HsmConfig = {
    hsmId: `hsm-${randomBytes(7)
      .toString('hex')
      .replace(/[0189]/g, 'x')
      .slice(0, 11)}`,
    hsmType,
    address,
    eniIp: address,
    ports: { client: 2223, peer: 2224, management: 2225 },
    trust: pki.trust,
    fleetBackupKeyFile,
    ...(keySeparation && { keySeparation }),
  }
  await writeFile(join(directory, HSM_FILES.config), JSON.stringify(config))
  return config
}

/** A loopback address that nobody listens on. */
async function freeAddress(): Promise<string> {
  for (;;) {
    const address = `127.${randomInt(100, 250)}.${randomInt(1, 255)}.${randomInt(1, 255)}`
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer()
      probe.once('error', () => resolve(false))
      probe.listen(2223, address, () => probe.close(() => resolve(true)))
    })
    if (free) return address
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return undefined
  }
}

export interface TestCluster {
  readonly pki: FleetPki
  readonly customer: CustomerCa
  readonly clusterId: string
  readonly first: HsmProcess
}

/** An initialised cluster of one HSM; the caller disposes of it. */
export async function startCluster(
  options: Partial<HsmProcessOptions> & { readonly mode?: 'FIPS' | 'NON_FIPS' } = {},
): Promise<TestCluster> {
  const { mode = 'FIPS', pki = fleetPki(), hsmType = 'hsm2m.medium' } = options
  const first = await startHsmProcess({ ...options, pki, hsmType })
  const customer = customerCa()
  const clusterId = 'cluster-testtesttes'
  const management = await first.management()
  try {
    const membership = pki.signMembership({ clusterId, epoch: 1, members: [first.member] })
    const { csr } = await management.call('found', { clusterId, mode, hsmType, membership })
    const clusterCertificate = customer.signRequest(csr)
    await management.call('install-certificate', { clusterCertificate, trustAnchor: customer.certificate })
  } catch (error) {
    await first.dispose()
    throw error
  } finally {
    await management.close()
  }
  return { pki, customer, clusterId, first }
}

/** Over a management connection, which is closed in the end. */
export async function managing<Result>(
  hsm: HsmProcess,
  work: (management: Connection<ManagementOperations>) => Promise<Result>,
): Promise<Result> {
  const management = await hsm.management()
  return work(management).finally(() => management.close())
}
