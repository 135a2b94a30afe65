import { z } from 'zod'
import { role, username } from '../../../workers/hsm/protocol/values.ts'
import { command } from '../command.ts'
import { newPassword } from '../passwords.ts'
import { userFlags } from './user-flags.ts'

export const userChangePassword = command({
  path: 'user change-password',
  summary: "Change one's own password, or as admin anybody's, which also unlocks the user",
  options: [
    ...userFlags,
    { flags: '--password <password>', description: 'the new password; asked for if not given' },
    { flags: '--deregister-mfa', description: 'forget the key for logins: they need the password only' },
    { flags: '--deregister-quorum', description: 'the user approves nothing any more' },
  ],
  input: z.object({
    username,
    role,
    password: z.string().optional(),
    deregisterMfa: z.boolean().optional(),
    deregisterQuorum: z.boolean().optional(),
  }),
  run: async (input, invocation) => {
    const client = await invocation.loggedIn()
    const password = await newPassword(input.password, invocation)
    const changed = await client.users.changePassword({ ...input, password })
    return { username: changed.username, role: changed.role }
  },
})
