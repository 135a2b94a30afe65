/** ModifyBackupAttributes: exempts a backup from retention, or no longer. */
import { z } from 'zod'
import * as s from '../shapes.ts'
import { ERRORS_OF, operationSpec } from './operation.ts'

export const modifyBackupAttributes = operationSpec({
  name: 'ModifyBackupAttributes',
  input: z.object({
    BackupId: s.backupId,
    NeverExpires: z.boolean(),
  }),
  output: z.object({
    Backup: s.backup,
  }),
  errors: ERRORS_OF.onResource,
  available: true,
})
