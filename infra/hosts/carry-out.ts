/**
 * A host's part of the orders: looks again and again at what the region wants of it, does it, and says how far it is. It
 * goes by what it finds, never by what it remembers, so that it may be killed anywhere and lose nothing.
 *
 * What stands in the database is not taken on trust: ids become names of directories here.
 */
import type { Logger } from 'pino'
import { z } from 'zod'
import { orderedHsm } from '../../provider-schema/host-order.ts'
import { ID_PATTERNS, type HsmId } from '../../provider-schema/ids.ts'
import type { Database } from '../../state/database.ts'
import { orderedOf, report, type HostOrder, type HostReport } from '../../state/host-orders.ts'
import { KEY_SEPARATIONS } from '../../provider-schema/key-separation.ts'
import { pause, stopped } from '../../workers/jobs/until-stopped.ts'
import { bindable } from './addresses.ts'
import { removeAtStart, type Host } from './host.ts'

export interface CarryOutOptions {
  readonly hostId: string
  readonly database: Database
  readonly host: Host
  readonly log: Logger
  readonly signal: AbortSignal
  /** How often it looks; left out: several times a second. */
  readonly everyMs?: number
}

const ordered = orderedHsm.extend({ keySeparation: z.enum(KEY_SEPARATIONS).optional() })

const LOOK_MS = 150
/** After what failed. */
const AGAIN_MS = 1_000

/** Carries out orders until the signal; resolves when what was under way has ended. Survives a database that is away. */
export async function carryOut(options: CarryOutOptions): Promise<void> {
  const { hostId, database, log, signal } = options
  const underWay = new Map<HsmId, Promise<void>>()
  let complaint: string | undefined
  while (!stopped(signal)) {
    try {
      for (const order of await orderedOf(database.sql, hostId)) {
        if (order.done || underWay.has(order.hsmId)) continue
        const work = carryOutOne(order, options)
        underWay.set(order.hsmId, work)
        void work.finally(() => underWay.delete(order.hsmId))
      }
      complaint = undefined
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== complaint) log.warn({ reason }, 'the orders of this host cannot be read; HSMs run on')
      complaint = reason
    }
    await pause(options.everyMs ?? LOOK_MS, signal)
  }
  await Promise.all(underWay.values())
}

/** Removes, before any HSM is started, what is to be gone. Throws when the database does not answer. */
export async function forgetTheGone(database: Database, hostId: string, dir: string): Promise<void> {
  for (const { hsmId, wanted } of await orderedOf(database.sql, hostId)) {
    if (wanted === 'gone' && ID_PATTERNS.hsm.test(hsmId)) await removeAtStart(dir, hsmId)
  }
}

/** Never throws: what went wrong is told to the region, and tried again. */
async function carryOutOne(order: HostOrder, options: CarryOutOptions): Promise<void> {
  const { hostId, database, log, signal } = options
  try {
    const found = await act(order, options)
    const now = { trouble: null, ...found }
    const isNews = Object.entries(now).some(([key, value]) => order[key as keyof HostReport] !== value)
    if (isNews) await report(database.sql, { hostId, hsmId: order.hsmId }, now)
  } catch (error) {
    const trouble = (error instanceof Error ? error.message : String(error)).slice(0, 300)
    if (trouble !== order.trouble) {
      log.warn({ hsmId: order.hsmId, wanted: order.wanted, err: error }, 'an order could not be carried out')
      await report(database.sql, { hostId, hsmId: order.hsmId }, { trouble }).catch(() => undefined)
    }
    await pause(AGAIN_MS, signal)
  }
}

/** Does what is to be done next for one HSM; gives what the region should know. */
async function act(order: HostOrder, { host }: CarryOutOptions): Promise<HostReport> {
  const { hsmId, wanted, condition } = order
  if (!ID_PATTERNS.hsm.test(hsmId)) throw new Error('this is not the id of an HSM')
  if (wanted !== 'running') {
    await (wanted === 'gone' ? host.remove(hsmId) : host.setAside(hsmId))
    return { done: true, listens: false }
  }
  // Once it has run it is the host's own affair to keep it running: what is gone is said, not begun anew.
  if (condition === null) await begin(order, host)
  if (!order.listens) {
    const deviceRequest = await host.deviceRequest(hsmId)
    const { deviceChain, providerChain } = order
    if (deviceRequest !== undefined && (deviceChain === null || providerChain === null)) {
      return { deviceRequest, condition: 'running' }
    }
    await host.install(hsmId, { deviceChain: deviceChain ?? '', providerChain: providerChain ?? '' })
  }
  const now = await host.condition(hsmId)
  if (now.kind === 'cut-off') throw new Error(now.why)
  return { listens: true, condition: now.kind, why: now.why ?? null }
}

async function begin({ hsmId, config }: HostOrder, host: Host): Promise<void> {
  const hsm = ordered.parse(config)
  const isThere = (await host.list()).some((each) => each.hsmId === hsmId)
  if (!isThere && (await bindable(hsm.listenIp)) !== 'free') throw new Error(`${hsm.listenIp} cannot be bound`)
  await host.ensureRunning({ id: hsmId, ...hsm })
}
