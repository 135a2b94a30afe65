/** Another region that takes copies in, simulated: the contract that `infra/regions/regions.test.ts` holds the real one to. */
import { newBackupId, type BackupId, type CopyId } from '../../../provider-schema/ids.ts'
import type { CopyAnnouncement, RegionPort } from '../ports.ts'
import { attempt, digestOf } from './simulated-calls.ts'

export interface SimulatedRegions {
  readonly port: RegionPort
  readonly copies: Map<
    CopyId,
    { announcement: Omit<CopyAnnouncement, 'sourceRegion'>; backupId: BackupId; bytes: Buffer; state: string }
  >
}

/** `trip` is told the name of each call before it is answered, and throws when that call is to fail. */
export function simulatedRegions(trip: (name: string) => void): SimulatedRegions {
  const copies: SimulatedRegions['copies'] = new Map()
  const port: RegionPort = {
    known: ['eu-west-1'],
    announceCopy: (_region, announcement) =>
      attempt(() => {
        trip('announceCopy')
        const copy = copies.get(announcement.copyId) ?? {
          announcement,
          backupId: newBackupId(),
          bytes: Buffer.alloc(0),
          state: 'CREATE_IN_PROGRESS',
        }
        copies.set(announcement.copyId, copy)
        return { backupId: copy.backupId, offset: copy.bytes.length, done: copy.bytes.length >= announcement.size }
      }),
    sendCopy: async (_region, copyId, offset, content) => {
      trip('sendCopy')
      const copy = copies.get(copyId)
      if (copy?.bytes.length !== offset) throw new Error('wrong offset')
      for await (const piece of content) copy.bytes = Buffer.concat([copy.bytes, piece])
    },
    finishCopy: (_region, copyId) =>
      attempt(() => {
        trip('finishCopy')
        const copy = copies.get(copyId)
        if (!copy) throw new Error('no such copy')
        if (digestOf(copy.bytes) !== copy.announcement.digest) {
          copy.bytes = Buffer.alloc(0)
          throw new Error('the digest does not fit')
        }
        copy.state = 'READY'
      }),
    abandonCopy: (_region, copyId) =>
      attempt(() => {
        trip('abandonCopy')
        const copy = copies.get(copyId)
        if (copy?.state !== 'CREATE_IN_PROGRESS') return
        copy.state = 'DELETED'
        copy.bytes = Buffer.alloc(0)
      }),
  }
  return { port, copies }
}
