/**
 * The host agent: runs the HSM processes of one machine. The directories are its only truth, so that it does its work
 * with the database away: an HSM whose directory is there is to run, until it is removed.
 *
 *   <dir>/<hsm id>/            one HSM: configuration, sealed store, keys, log
 *   <dir>/<hsm id>/removed     it is being removed; what is left of it goes at the next start
 *   <dir>/aside-<hsm id>/      what is left of one that was replaced, and was the last to hold its content
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { AddressPort } from '../../api/ports.ts'
import type { HsmId } from '../../provider-schema/ids.ts'
import { HSM_PORTS } from '../../provider-schema/limits.ts'
import { HSM_FILES, hsmConfig, type HsmConfig } from '../../provider-schema/hsm-directory.ts'
import type { KeySeparation } from '../../provider-schema/key-separation.ts'
import type { DeviceCertificates, HostPort, HsmAddress, HsmCondition, HsmToRun } from '../../workers/jobs/ports.ts'
import { pause, stopped } from '../../workers/jobs/until-stopped.ts'
import { syncDirectory, writeDurably } from '../files/durable.ts'
import { exists } from '../files/exists.ts'
import type { DeviceIssuer, IssuedDevice } from '../pki/device.ts'
import type { Fleet } from '../pki/fleet.ts'
import { isAlive } from '../processes/identity.ts'
import { bindable } from './addresses.ts'
import { conditionOf } from './condition.ts'
import { endProcess, findProcess, lastWords, processesOf, runsOn, startProcess } from './hsm-process.ts'
import { wasZeroised } from './zeroised.ts'

export interface HostOptions {
  /** Directory of all HSMs of this host. */
  readonly dir: string
  readonly fleet: Fleet
  /** Left out on a host that has its HSMs certified elsewhere: `certify` throws then. */
  readonly issuer?: DeviceIssuer
  /** Its addresses; left out, every address is taken to be its own. */
  readonly addresses?: AddressPort
  /** Of HSMs that come without a word on it. Left out, the HSMs' own default. */
  readonly keySeparation?: KeySeparation
  /** Takes what is to outlive an HSM from its directory, once its process has ended. The removal is tried again when it throws. */
  readonly beforeRemoval?: (directory: string) => Promise<void>
  readonly log: Logger
}

export interface Host extends HostPort {
  ensureRunning(hsm: HsmToRun & { readonly keySeparation?: KeySeparation | undefined }): Promise<void>
  /** The request for certificates of an HSM that runs (PEM); undefined once they are there. */
  deviceRequest(hsmId: HsmId): Promise<string | undefined>
  /** Hands an HSM its certificates, once, and waits until it serves its ports. */
  install(hsmId: HsmId, chains: DeviceChains): Promise<void>
  /** Every HSM there is, and its process if it runs. */
  list(): Promise<{ readonly hsmId: string; readonly address: string; readonly pid: number | undefined }[]>
  /** Stops looking after the processes; ends them too, unless they are to run on. */
  stop(options: { readonly leaveRunning: boolean }): Promise<void>
}

/** PEM, each the device's certificate and then its CA's. */
export type DeviceChains = Pick<IssuedDevice, 'deviceChain' | 'providerChain'>

const REMOVED = 'removed'
const ASIDE = 'aside-'
const LOOK_MS = 250
const ENDING_MS = 20
/** How long a new process may take to show its request, and to listen once it is certified. */
const START_MS = 20_000
const END_MS = 6_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** A process that ran this long was well: the next pause is short again. */
const WELL_MS = 10_000

interface Supervised {
  pid: number | undefined
  startedAt: number
  pauseMs: number
  nextStart: number
}

/** Starts looking after the HSMs of a directory: adopts those that run, starts those that do not. */
export async function startHost(options: HostOptions): Promise<Host> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 })
  const host = new HostAgent(options)
  await host.begin()
  return host
}

class HostAgent implements Host {
  readonly #options: HostOptions
  readonly #supervised = new Map<string, Supervised>()
  /** Those whose zeroisation was looked after. */
  readonly #zeroised = new Set<string>()
  readonly #stop = new AbortController()
  #watching: Promise<void> = Promise.resolve()

  constructor(options: HostOptions) {
    this.#options = options
  }

  async begin(): Promise<void> {
    for (const hsmId of await this.#ids()) {
      if (await exists(join(this.#directory(hsmId), REMOVED))) await this.remove(hsmId)
      else if (await wasZeroised(this.#directory(hsmId))) await this.#endZeroised(hsmId)
      else await this.#adoptOrStart(hsmId)
    }
    this.#watching = this.#watch()
  }

  async addressFor({ eniIp, listenIp }: HsmAddress, taken: ReadonlySet<string>): Promise<HsmAddress> {
    const { addresses } = this.#options
    if (!addresses || (await bindable(listenIp)) === 'free') return { eniIp, listenIp }
    const chosen = await addresses.choose(taken, eniIp === listenIp ? undefined : eniIp)
    return { eniIp: chosen.eniIp, listenIp: chosen.listenIp }
  }

  async ensureRunning(hsm: HsmToRun & { readonly keySeparation?: KeySeparation | undefined }): Promise<void> {
    const directory = this.#directory(hsm.id)
    if (await exists(join(directory, REMOVED))) throw new Error(`${hsm.id} is being removed`)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const file = join(directory, HSM_FILES.config)
    if (!(await exists(file))) await writeDurably(file, JSON.stringify(this.#configOf(hsm)))
    if (!this.#supervised.has(hsm.id)) await this.#adoptOrStart(hsm.id)
  }

  async certify(hsm: HsmToRun): Promise<DeviceCertificates> {
    const request = await this.deviceRequest(hsm.id)
    if (request !== undefined) {
      if (!this.#options.issuer) throw new Error('this host certifies no HSM')
      await this.install(hsm.id, this.#options.issuer.issueDevice(request, hsm.id))
    } else await this.#untilItListens(hsm.id)
    const directory = this.#directory(hsm.id)
    const first = async (name: string) => firstCertificate(await readFile(join(directory, name), 'utf8'))
    return {
      awsHardwareCertificate: await first(HSM_FILES.providerChain),
      manufacturerHardwareCertificate: await first(HSM_FILES.deviceChain),
    }
  }

  async deviceRequest(hsmId: HsmId): Promise<string | undefined> {
    const file = (name: string) => join(this.#directory(hsmId), name)
    if (await exists(file(HSM_FILES.deviceChain))) return undefined
    return this.#await(hsmId, () => readText(file(HSM_FILES.deviceCsr)), 'has made no request')
  }

  async install(hsmId: HsmId, { deviceChain, providerChain }: DeviceChains): Promise<void> {
    const file = (name: string) => join(this.#directory(hsmId), name)
    if (!(await exists(file(HSM_FILES.deviceChain)))) {
      await writeDurably(file(HSM_FILES.providerChain), providerChain)
      await writeDurably(file(HSM_FILES.deviceChain), deviceChain)
    }
    await this.#untilItListens(hsmId)
  }

  async #untilItListens(hsmId: HsmId): Promise<void> {
    await this.#await(hsmId, () => findProcess(this.#directory(hsmId)), 'does not listen')
  }

  async condition(hsmId: HsmId): Promise<HsmCondition> {
    const { condition, refused } = await conditionOf(this.#directory(hsmId))
    if (refused !== undefined) {
      this.#options.log.warn({ hsmId, refused }, 'an HSM cannot use what is in its directory')
    }
    return condition
  }

  async remove(hsmId: HsmId | string): Promise<void> {
    const directory = this.#directory(hsmId)
    if (!(await exists(directory))) return
    await writeFile(join(directory, REMOVED), '')
    await syncDirectory(directory)
    await this.#endProcess(hsmId)
    await this.#options.beforeRemoval?.(directory)
    await rm(directory, { recursive: true, force: true })
    await syncDirectory(this.#options.dir)
  }

  async setAside(hsmId: HsmId): Promise<void> {
    const directory = this.#directory(hsmId)
    if (!(await exists(directory))) return
    await this.#endProcess(hsmId)
    const place = join(this.#options.dir, `${ASIDE}${hsmId}`)
    await rename(directory, place)
    await syncDirectory(this.#options.dir)
    this.#options.log.warn({ hsmId, place }, 'what is left of an HSM was set aside')
  }

  /** Ends the process of an HSM that is looked after no more. */
  async #endProcess(hsmId: string): Promise<void> {
    const directory = this.#directory(hsmId)
    const pid = this.#supervised.get(hsmId)?.pid
    this.#supervised.delete(hsmId)
    if (pid !== undefined) await endProcess(pid, directory, END_MS)
    for (const other of await processesOf(directory)) await endProcess(other, directory, END_MS)
  }

  async list() {
    return Promise.all(
      (await this.#ids()).map(async (hsmId) => {
        const directory = this.#directory(hsmId)
        // The HSM mends its file at its next start; one that is damaged must not hide the others.
        const address = await readConfig(directory).then(
          (config) => config.address,
          () => '',
        )
        return { hsmId, address, pid: await findProcess(directory) }
      }),
    )
  }

  async stop({ leaveRunning }: { readonly leaveRunning: boolean }): Promise<void> {
    this.#stop.abort()
    await this.#watching
    if (leaveRunning) return
    await stopAll(this.#options.dir)
  }

  /** Starts again whatever ended, after a pause that grows while it keeps ending. */
  async #watch(): Promise<void> {
    while (!stopped(this.#stop.signal)) {
      for (const [hsmId, entry] of this.#supervised) {
        if (entry.pid !== undefined && (await runsOn(entry.pid, this.#directory(hsmId)))) continue
        if (entry.pid !== undefined) await this.#noteEnd(hsmId, entry)
        // Nothing can come of it: it waits to be removed.
        if (await wasZeroised(this.#directory(hsmId))) {
          await this.#endZeroised(hsmId)
          continue
        }
        if (entry.nextStart <= Date.now() && this.#supervised.has(hsmId) && !stopped(this.#stop.signal)) {
          await this.#adoptOrStart(hsmId).catch((error: unknown) => {
            this.#options.log.error({ hsmId, err: error }, 'an HSM process could not be started')
          })
        }
      }
      await pause(LOOK_MS, this.#stop.signal)
    }
  }

  /** Its process is gone, maybe before it was done: one more does the rest, and ends. */
  async #endZeroised(hsmId: string): Promise<void> {
    if (this.#zeroised.has(hsmId)) return
    this.#zeroised.add(hsmId)
    try {
      const directory = this.#directory(hsmId)
      if ((await findProcess(directory)) !== undefined) return
      const { pid } = await startProcess(directory)
      while (!stopped(this.#stop.signal) && (await isAlive(pid))) await pause(ENDING_MS, this.#stop.signal)
    } catch (error) {
      this.#options.log.error({ hsmId, err: error }, 'what is left of a zeroised HSM could not be removed yet')
    }
  }

  async #noteEnd(hsmId: string, entry: Supervised): Promise<void> {
    const ranMs = Date.now() - entry.startedAt
    entry.pid = undefined
    entry.pauseMs = ranMs > WELL_MS ? FIRST_PAUSE_MS : Math.min(entry.pauseMs * 2, LONGEST_PAUSE_MS)
    entry.nextStart = Date.now() + entry.pauseMs
    const words = await lastWords(this.#directory(hsmId))
    this.#options.log.warn({ hsmId, ranMs, lastWords: words }, 'an HSM process ended; it is started again')
  }

  async #adoptOrStart(hsmId: string): Promise<void> {
    const directory = this.#directory(hsmId)
    const found = await findProcess(directory)
    const before = this.#supervised.get(hsmId)
    const { pid } = found === undefined ? await startProcess(directory) : { pid: found }
    this.#supervised.set(hsmId, {
      pid,
      startedAt: Date.now(),
      pauseMs: before?.pauseMs ?? FIRST_PAUSE_MS,
      nextStart: 0,
    })
    this.#options.log.info({ hsmId, pid }, found === undefined ? 'started an HSM process' : 'adopted an HSM process')
  }

  /** Waits for something that the process is to do; what it last said stands in the error when it does not. */
  async #await<Value>(hsmId: string, look: () => Promise<Value | undefined>, complaint: string): Promise<Value> {
    const end = Date.now() + START_MS
    while (Date.now() < end && !stopped(this.#stop.signal)) {
      const found = await look()
      if (found !== undefined) return found
      await pause(10, this.#stop.signal)
    }
    throw new Error(`${hsmId} ${complaint}: ${await lastWords(this.#directory(hsmId))}`)
  }

  #configOf(hsm: Parameters<Host['ensureRunning']>[0]): HsmConfig {
    const { fleet } = this.#options
    const keySeparation = hsm.keySeparation ?? this.#options.keySeparation
    return {
      hsmId: hsm.id,
      hsmType: hsm.hsmType,
      address: hsm.listenIp,
      eniIp: hsm.eniIp,
      ports: HSM_PORTS,
      trust: { root: fleet.root, controlCa: fleet.controlCa, manufacturerCa: fleet.manufacturerCa },
      fleetBackupKeyFile: fleet.backupKeyFile,
      ...(keySeparation && { keySeparation }),
    }
  }

  async #ids(): Promise<string[]> {
    return hsmIds(this.#options.dir)
  }

  #directory(hsmId: string): string {
    return join(this.#options.dir, hsmId)
  }
}

/**
 * Has what is left of an HSM removed by the host that starts next, before it starts anything: an HSM that another has
 * replaced must not serve again. Nothing happens when there is nothing of it.
 */
export async function removeAtStart(dir: string, hsmId: HsmId): Promise<void> {
  const directory = join(dir, hsmId)
  if (!(await exists(directory))) return
  await writeFile(join(directory, REMOVED), '')
  await syncDirectory(directory)
}

/** Ends every HSM process of a host's directory, whoever started it, also one that only starts. The directories stay. */
export async function stopAll(dir: string): Promise<number> {
  const ended = await Promise.all(
    (await hsmIds(dir)).map(async (hsmId) => {
      const directory = join(dir, hsmId)
      const pids = await processesOf(directory)
      await Promise.all(pids.map((pid) => endProcess(pid, directory, END_MS)))
      return pids.length > 0 ? 1 : 0
    }),
  )
  return ended.reduce<number>((sum, one) => sum + one, 0)
}

async function hsmIds(dir: string): Promise<string[]> {
  const entries = await readdir(dir).catch(() => [])
  return entries.filter((name) => name.startsWith('hsm-'))
}

async function readConfig(directory: string): Promise<HsmConfig> {
  return hsmConfig.parse(JSON.parse(await readFile(join(directory, HSM_FILES.config), 'utf8')))
}

/** The first certificate of a PEM file. */
export function firstCertificate(pem: string): string {
  const end = '-----END CERTIFICATE-----\n'
  return pem.slice(0, pem.indexOf(end) + end.length)
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
