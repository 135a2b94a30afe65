/** DeleteBackup: marks a backup for deletion in seven days. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const deleteBackup = operationSpec({
  name: 'DeleteBackup',
  input: z.object({
    BackupId: s.backupId,
  }),
  output: z.object({
    Backup: s.backup,
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
