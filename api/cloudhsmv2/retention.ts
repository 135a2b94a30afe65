/** BackupRetentionPolicy: for how many days a cluster's backups are kept. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { LIMITS } from '../../provider-schema/limits.ts'

/** Days of a policy's Value. Throws CloudHsmInvalidRequestException when they are out of range. */
export function retentionDaysOf(value: string): number {
  const { min, max } = LIMITS.retentionDays
  const days = Number(value)
  if (days < min || days > max) {
    throw invalidRequest(`The backup retention period must be between ${min} and ${max} days, not ${days}.`)
  }
  return days
}
