import { z } from 'zod'
import { command } from '../command.ts'
import { presentUsers } from '../present.ts'

export const userList = command({
  path: 'user list',
  summary: 'List the users of the cluster',
  input: z.object({}),
  run: async (_input, { connect }) => {
    const client = await connect()
    const lists = await client.users.listPerHsm()
    return { users: presentUsers(lists.map(({ answer }) => answer)) }
  },
})
