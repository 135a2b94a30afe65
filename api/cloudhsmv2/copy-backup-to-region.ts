/** CopyBackupToRegion: asks for a copy of a backup elsewhere. Asynchronous: the copy appears in the other region. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { newCopyId } from '../../provider-schema/ids.ts'
import { jobs } from '../../provider-schema/jobs.ts'
import type { ApiPorts } from '../ports.ts'
import { operation } from './operation.ts'
import { seconds } from './present.ts'
import { tagsOf } from './tags.ts'

export const copyBackupToRegion = operation('CopyBackupToRegion', async ({ input, caller, tx, ports, now, audit }) => {
  const tags = input.TagList && tagsOf(input.TagList)
  const backup = await tx.backups.forUpdate(caller.account, input.BackupId)
  if (backup.state !== 'READY') {
    throw invalidRequest(`The backup ${backup.id} is ${backup.state}; only a READY one can be copied.`)
  }
  requireDestination(input.DestinationRegion, ports)
  const copy = await tx.copies.insert({
    id: newCopyId(),
    account: caller.account,
    backupId: backup.id,
    destinationRegion: input.DestinationRegion,
    // Tags that are given replace those of the source.
    tags: tags ?? backup.tags,
    state: 'IN_PROGRESS',
    createdAt: now,
  })
  await tx.enqueue(jobs.copyBackup, { copyId: copy.id })
  await audit(backup.id)
  return {
    DestinationBackup: {
      CreateTimestamp: seconds(backup.createdAt),
      SourceRegion: ports.region,
      SourceBackup: backup.id,
      SourceCluster: backup.clusterId,
    },
  }
})

function requireDestination(destination: string, { region, knownRegions }: ApiPorts): void {
  if (destination === region) throw invalidRequest('The destination region must be another than the one of the backup.')
  if (!knownRegions.includes(destination)) {
    const others = knownRegions.filter((known) => known !== region).join(', ')
    throw invalidRequest(`Backups cannot be copied to ${destination}. Known regions: ${others || 'none'}.`)
  }
  if (isGovCloud(destination) !== isGovCloud(region)) {
    throw invalidRequest(`Backups cannot be copied from ${region} to ${destination}: into or out of AWS GovCloud (US).`)
  }
}

/** Between its regions backups may be copied, but not across its border (user guide, "Copying backups across Regions"). */
const isGovCloud = (region: string) => region.startsWith('us-gov-')
