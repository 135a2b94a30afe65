/** RestoreBackup: takes back DeleteBackup. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const restoreBackup = operationSpec({
  name: 'RestoreBackup',
  input: z.object({
    BackupId: s.backupId,
  }),
  output: z.object({
    Backup: s.backup,
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
