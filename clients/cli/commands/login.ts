import { z } from 'zod'
import { role, username } from '../../../workers/hsm/protocol/values.ts'
import { CliError } from '../cli-error.ts'
import { command } from '../command.ts'
import { currentPassword } from '../passwords.ts'
import { userFlags } from './user-flags.ts'

export const login = command({
  path: 'login',
  summary: 'Log in on every HSM of the cluster; in interactive mode until logout or quit',
  options: [...userFlags, { flags: '--password <password>', description: 'the password; asked for if not given' }],
  input: z.object({ username, role, password: z.string().optional() }),
  run: async (input, invocation) => {
    const client = await invocation.connect()
    if (client.user) throw new CliError(`${client.user.username} is logged in already; log out first`)
    const password = await currentPassword(input.password, invocation)
    await client.login({ username: input.username, role: input.role, password })
    return { username: input.username, role: input.role }
  },
})
