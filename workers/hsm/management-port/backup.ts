/** `backup-*` and `restore-*`: sealed files out of and into an HSM, a piece at a time. */
import { writeBackup } from '../backup/write-backup.ts'
import { requireKnownFleetKey } from '../backup/fleet-key.ts'
import { isSound } from '../backup/read-backup.ts'
import { NotAsAnnounced, restoreBackup } from '../backup/restore.ts'
import type { BackupSpool } from '../backup/spool.ts'
import { HsmError } from '../protocol/errors.ts'
import type { ManagementOperations } from '../protocol/management-operations.ts'
import { requireReadable } from '../vault/readable.ts'
import type { Handlers } from '../server/port-server.ts'
import { beginFilling, endFilling } from './filling.ts'
import { acceptMembership, phaseOf, type ManagedHsm } from './managed-hsm.ts'
import { oneAtATime, type OneAtATime } from './one-at-a-time.ts'

/** Which backup the content came from, so that a repeated restore is known as such. */
const RESTORED_FROM = 'cluster/restored-from'
/** How long a backup waits for what peers have and this HSM has not: it is to hold all that was acknowledged. */
const CATCH_UP_MS = 2_000

export function backupHandlers(hsm: ManagedHsm, spool: BackupSpool) {
  const oneBackup = oneAtATime()
  return {
    'backup-begin': ({ backupId }) =>
      oneBackup(async () => {
        const { fleetBackupKeyFile } = hsm.config
        await requireKnownFleetKey(fleetBackupKeyFile, hsm.store.local)
        const path = spool.outgoing(backupId)
        const made = await spool.describeOutgoing(backupId)
        // What was damaged on this disk since would have the digest of its damage.
        if (made && (await isSound(path, fleetBackupKeyFile))) return made
        await spool.removeForgotten()
        await hsm.peers.catchUp(CATCH_UP_MS)
        const identity = hsm.identity.current
        if (!identity) throw new HsmError('WrongState', 'this HSM belongs to no cluster: there is nothing to back up')
        const about = { ...identity, hsmType: hsm.config.hsmType }
        const written = await writeBackup({ path, fleetBackupKeyFile, identity: about, store: hsm.store })
        hsm.log.info({ backupId, ...written }, 'backup sealed')
        return written
      }),

    async 'backup-read'({ backupId, offset, length }) {
      return { bytes: await spool.readOutgoing(backupId, offset, length) }
    },

    async 'backup-end'({ backupId }) {
      await spool.removeOutgoing(backupId)
      return {}
    },
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}

export function restoreHandlers(hsm: ManagedHsm, spool: BackupSpool, exclusive: OneAtATime) {
  const restoredFrom = () => {
    const mark = hsm.store.local.get(RESTORED_FROM)
    return mark && Buffer.from(mark).toString('utf8')
  }
  const requireBlank = () => {
    if (!hsm.identity.current) return
    throw new HsmError('WrongState', `this HSM belongs to ${hsm.identity.current.clusterId}`)
  }
  const answer = () => {
    const { clusterCertificate, trustAnchor } = hsm.identity.current ?? {}
    return {
      phase: phaseOf(hsm),
      ...(clusterCertificate !== undefined && { clusterCertificate }),
      ...(trustAnchor !== undefined && { trustAnchor }),
    }
  }
  // Pieces are added in the order they come, however many connections they come on.
  const oneWrite = oneAtATime()

  return {
    'restore-begin': ({ backupId, size, digest }) =>
      oneWrite(async () => {
        if (hsm.identity.current && restoredFrom() === backupId) return { offset: size }
        requireBlank()
        return { offset: await spool.announce(backupId, { size, digest }) }
      }),

    'restore-write': ({ backupId, offset, bytes }) =>
      oneWrite(async () => {
        requireBlank()
        return { offset: await spool.receive(backupId, offset, bytes) }
      }),

    'restore-commit': ({ backupId, clusterId, mode, hsmType, membership }) =>
      exclusive(async () => {
        const { current } = hsm.identity
        if (current?.clusterId === clusterId && restoredFrom() === backupId) {
          await endFilling(hsm)
          await spool.removeIncoming(backupId)
          return answer()
        }
        requireBlank()
        const announced = await spool.announced(backupId)
        if (!announced) throw new HsmError('WrongState', `${backupId} was not announced`)
        await acceptMembership(hsm, membership, clusterId)
        try {
          await restoreBackup({
            path: spool.incoming(backupId),
            ...announced,
            fleetBackupKeyFile: hsm.config.fleetBackupKeyFile,
            store: hsm.store,
            cluster: { clusterId, mode, hsmType },
            check: requireReadable,
            verified: async () => {
              await beginFilling(hsm, backupId)
              await hsm.store.local.put(RESTORED_FROM, Buffer.from(backupId))
            },
          })
        } catch (error) {
          // Whatever is wrong with the bytes does not get better: the next attempt is to bring them anew.
          const isInvalid = error instanceof HsmError && error.code === 'BackupInvalid'
          if (isInvalid || error instanceof NotAsAnnounced) await spool.removeIncoming(backupId)
          throw error
        }
        await endFilling(hsm)
        await spool.removeIncoming(backupId)
        hsm.log.info({ backupId, clusterId }, 'backup restored')
        return answer()
      }),
  } satisfies Partial<Handlers<ManagementOperations, unknown>>
}
