/** Who runs a command, for the trail. */
import { hostname, userInfo } from 'node:os'
import type { ChangedBy } from '../../api/trail/directory-events.ts'
import { VERSION } from '../version.ts'

export function operator(): ChangedBy {
  return { kind: 'operator', login: loginName(), host: hostname(), userAgent: `strongroom-account/${VERSION}` }
}

/** A user id without a name, as containers have it, is shown as its number. */
function loginName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
