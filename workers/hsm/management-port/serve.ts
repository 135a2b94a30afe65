/** The management port: the control plane's way in, and no one else's. */
import { X509Certificate } from 'node:crypto'
import { recordedManagement } from '../audit/management-events.ts'
import { callersFrom, controlOf, peerIssuedBy } from '../identity/trust.ts'
import { HsmError } from '../protocol/errors.ts'
import { managementOperations } from '../protocol/management-operations.ts'
import { servePort, type PortServer } from '../server/port-server.ts'
import { BackupSpool } from '../backup/spool.ts'
import { backupHandlers, restoreHandlers } from './backup.ts'
import { drainHandlers, stayDrained } from './drain.ts'
import { foundHandlers } from './found.ts'
import { healthHandlers } from './health.ts'
import type { ManagedHsm } from './managed-hsm.ts'
import { inventoryHandlers } from './inventory.ts'
import { joinHandlers } from './join.ts'
import { membershipHandlers } from './membership.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { zeroiseHandlers } from './zeroise.ts'

/** Open at once; one more is closed. */
export const MANAGEMENT_CONNECTIONS = 64

/** The part of the control plane at the other end of a connection. */
export interface ControlCaller {
  readonly name: string
}

/** Listens on the management port. Throws what listening throws. */
export async function serveManagement(hsm: ManagedHsm): Promise<PortServer<ControlCaller>> {
  const { config, device, log } = hsm
  const controlCa = new X509Certificate(config.trust.controlCa)
  // What changes which cluster this HSM belongs to.
  const exclusive = oneAtATime()
  const spool = await BackupSpool.open(hsm.directory)
  stayDrained(hsm)
  return servePort({
    name: 'management',
    host: config.address,
    port: config.ports.management,
    tls: { ...device.tls, ...callersFrom(config.trust.root, config.trust.controlCa) },
    operations: managementOperations,
    handlers: recordedManagement(
      {
        ...healthHandlers(hsm),
        ...inventoryHandlers(hsm),
        ...foundHandlers(hsm, exclusive),
        ...membershipHandlers(hsm),
        ...joinHandlers(hsm, exclusive),
        ...backupHandlers(hsm, spool),
        ...restoreHandlers(hsm, spool, exclusive),
        ...drainHandlers(hsm),
        ...zeroiseHandlers(hsm),
      },
      hsm,
      hsm.audit,
    ),
    limits: { maxConnections: MANAGEMENT_CONNECTIONS },
    log,
    onConnect(socket) {
      const name = controlOf(peerIssuedBy(controlCa, socket))
      if (name === undefined) throw new HsmError('PermissionDenied', 'the caller is not of the control plane')
      return { name }
    },
  })
}
