/** Of users whom no keys belong to: for tests that have none. */
import type { UsersOptions } from '../users.ts'

export const withoutKeys: Pick<UsersOptions, 'ownsKeys' | 'onDeleted' | 'endSharing'> = {
  ownsKeys: () => false,
  onDeleted: () => undefined,
  endSharing: () => Promise.resolve(),
}
