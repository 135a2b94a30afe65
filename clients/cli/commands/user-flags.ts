import { ROLES } from '../../../workers/hsm/protocol/values.ts'
import type { OptionSpec } from '../command.ts'

/** The flags that name a user. */
export const userFlags = [
  { flags: '--username <username>', description: 'the name of the user', required: true },
  { flags: '--role <role>', description: 'the role of the user', required: true, choices: ROLES },
] as const satisfies readonly OptionSpec[]
