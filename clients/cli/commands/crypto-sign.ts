import { z } from 'zod'
import { command, type Command } from '../command.ts'
import { selectKey } from '../filters.ts'
import { messageFlags, messageInput, readMessage } from './message.ts'
import { SIGN_COMMANDS } from './sign-mechanisms.ts'

/** Each mechanism is a command. */
export const cryptoSign: readonly Command[] = SIGN_COMMANDS.map(({ name, title, flags, mechanism }) =>
  command({
    path: `crypto sign ${name}`,
    summary: `Sign with ${title}`,
    options: [...messageFlags, ...flags],
    input: z.intersection(
      messageInput,
      mechanism.transform((chosen) => ({ chosen })),
    ),
    run: async ({ chosen, ...input }, { loggedIn }) => {
      const { mechanism: asked, data } = await readMessage(input, chosen)
      const client = await loggedIn()
      const { handle } = await selectKey(client, input.keyFilter)
      const signature = await client.sign(handle, asked, data)
      return { 'key-reference': handle, signature: Buffer.from(signature).toString('base64') }
    },
  }),
)
