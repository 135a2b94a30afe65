import { z } from 'zod'
import { role, username } from '../../../workers/hsm/protocol/values.ts'
import { command } from '../command.ts'
import { newPassword } from '../passwords.ts'
import { userFlags } from './user-flags.ts'

export const userCreate = command({
  path: 'user create',
  summary: 'Create a user (admin)',
  options: [...userFlags, { flags: '--password <password>', description: 'the password; asked for if not given' }],
  input: z.object({ username, role, password: z.string().optional() }),
  run: async (input, invocation) => {
    const client = await invocation.loggedIn()
    const password = await newPassword(input.password, invocation)
    const created = await client.users.create({ username: input.username, role: input.role, password })
    return { username: created.username, role: created.role }
  },
})
