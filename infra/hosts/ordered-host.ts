/**
 * Hosts as the region sees them: its own, in this process; and all others by the orders that they find in the database
 * and carry out (carry-out.ts). Device certificates are issued here, from the request that the host hands on: no host
 * holds the key of a CA.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { HsmId } from '../../provider-schema/ids.ts'
import type { Database } from '../../state/database.ts'
import { certifyOrder, findOrder, forgetOrder, orderToGo, orderToRun, type HostOrder } from '../../state/host-orders.ts'
import type { HostPort, HostsPort, HsmToRun } from '../../workers/jobs/ports.ts'
import type { DeviceIssuer } from '../pki/device.ts'
import { firstCertificate } from './host.ts'

export interface OrderingOptions {
  readonly database: Database
  readonly issuer: DeviceIssuer
  /** For every HSM of the region. */
  readonly keySeparation?: string
}

/** A host has so long for one order, as long as it is heard of; the step that waits is then begun again. */
const ANSWER_MS = 20_000
const LOOK_MS = 50

/** The host of this process, and those of others. */
export function hostsOfRegion(
  own: { readonly id: string; readonly port: HostPort },
  options: OrderingOptions,
): HostsPort {
  const ordered = orderedHost(own.id, options)
  // What another job worker ordered of this host must not outlive the HSM: it would be carried out once more.
  const wayTo = async (hsmId: HsmId) =>
    (await findOrder(options.database.sql, { hostId: own.id, hsmId })) ? ordered : own.port
  const port: HostPort = {
    addressFor: (hsm, taken) => own.port.addressFor(hsm, taken),
    ensureRunning: (hsm) => own.port.ensureRunning(hsm),
    certify: (hsm) => own.port.certify(hsm),
    condition: (hsmId) => own.port.condition(hsmId),
    remove: async (hsmId) => (await wayTo(hsmId)).remove(hsmId),
    setAside: async (hsmId) => (await wayTo(hsmId)).setAside(hsmId),
  }
  return { on: (hostId) => (hostId === own.id ? port : orderedHost(hostId, options)) }
}

/** A host in another process. */
export function orderedHost(hostId: string, { database, issuer, keySeparation }: OrderingOptions): HostPort {
  const { sql, read } = database
  const at = (hsmId: HsmId) => ({ hostId, hsmId })

  /** Looks until the order is as wanted. Throws at once when the host is silent. */
  const until = async <Value>(
    hsmId: HsmId,
    look: (order: HostOrder | undefined) => Value | undefined | false,
    complaint: string,
  ): Promise<Value> => {
    const end = Date.now() + ANSWER_MS
    for (;;) {
      const order = await findOrder(sql, at(hsmId))
      const found = look(order)
      if (found !== undefined && found !== false) return found
      const silence = await silenceOf()
      if (silence !== undefined) throw new Error(silence)
      if (Date.now() > end)
        throw new Error(`${hostId} ${complaint} ${hsmId}: ${order?.trouble ?? 'it does not say why'}`)
      await sleep(LOOK_MS)
    }
  }

  const silenceOf = async (): Promise<string | undefined> => {
    const host = await read.hosts.find(hostId)
    if (!host) return `Its host ${hostId} is not known.`
    return host.live ? undefined : `Its host ${hostId} was last heard of at ${host.heartbeatAt.toISOString()}.`
  }

  const toRun = async ({ id, hsmType, listenIp, eniIp }: HsmToRun): Promise<void> => {
    const silence = await silenceOf()
    if (silence !== undefined) throw new Error(silence)
    const config = { hsmType, listenIp, eniIp, ...(keySeparation !== undefined && { keySeparation }) }
    const order = await orderToRun(sql, at(id), config)
    if (order.wanted === 'running') return
    // It was here before, and went: it may come again once nothing of it is left.
    if (order.done) await forgetOrder(sql, at(id))
    throw new Error(`${id} is being removed from ${hostId}`)
  }

  const toGo = async (hsmId: HsmId, wanted: 'gone' | 'aside'): Promise<void> => {
    await orderToGo(sql, at(hsmId), wanted)
    // It does it when it is back.
    if ((await silenceOf()) !== undefined) return
    await until(hsmId, (order) => order?.done !== false, 'has not removed')
    await forgetOrder(sql, at(hsmId))
  }

  return {
    addressFor: async ({ eniIp, listenIp }, taken) => {
      const offered = (await read.hosts.find(hostId))?.addresses ?? null
      // One that is shown although another is listened on was asked for: it stays, and is bound where it can be.
      const wanted = [eniIp, listenIp].find((each) => offered === null || offered.includes(each))
      const chosen = wanted ?? offered?.find((each) => !taken.has(each))
      if (chosen === undefined) throw new Error(`${hostId} has no address left for an HSM.`)
      return { eniIp: eniIp === listenIp ? chosen : eniIp, listenIp: chosen }
    },

    ensureRunning: async (hsm) => {
      await toRun(hsm)
      await until(hsm.id, (order) => order?.deviceRequest !== null || order.listens, 'has not started')
    },

    certify: async (hsm) => {
      await toRun(hsm)
      const order = await until(hsm.id, (found) => (found?.deviceRequest ? found : undefined), 'has not started')
      if (order.deviceChain === null)
        await certifyOrder(sql, at(hsm.id), issuer.issueDevice(order.deviceRequest ?? '', hsm.id))
      const { deviceChain, providerChain } = await until(hsm.id, (found) => found?.listens && found, 'does not run')
      return {
        awsHardwareCertificate: firstCertificate(providerChain ?? ''),
        manufacturerHardwareCertificate: firstCertificate(deviceChain ?? ''),
      }
    },

    condition: async (hsmId) => {
      const why = await silenceOf()
      if (why !== undefined) return { kind: 'cut-off', why }
      const order = await findOrder(sql, at(hsmId))
      if (order?.condition === 'lost' || order?.condition === 'zeroised') {
        return { kind: order.condition, why: order.why ?? '' }
      }
      return { kind: 'running', ...(typeof order?.why === 'string' && { why: order.why }) }
    },

    remove: (hsmId) => toGo(hsmId, 'gone'),
    setAside: (hsmId) => toGo(hsmId, 'aside'),
  }
}
