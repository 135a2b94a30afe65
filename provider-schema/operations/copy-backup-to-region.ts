/** CopyBackupToRegion: copies a backup of this region to another. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const copyBackupToRegion = operationSpec({
  name: 'CopyBackupToRegion',
  input: z.object({
    DestinationRegion: s.region,
    BackupId: s.backupId,
    TagList: s.optional(s.tagList),
  }),
  output: z.object({
    DestinationBackup: s.destinationBackup,
  }),
  errors: ERRORS_OF.onTaggable,
  available: true,
})
