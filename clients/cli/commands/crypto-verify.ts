import { z } from 'zod'
import { MAX_SIGNATURE_BYTES } from '../../../workers/hsm/protocol/client/crypto.ts'
import { CliError } from '../cli-error.ts'
import { command, type Command, type OptionSpec } from '../command.ts'
import { selectKey } from '../filters.ts'
import { bytesOf, messageFlags, messageInput, readMessage } from './message.ts'
import { SIGN_COMMANDS } from './sign-mechanisms.ts'

const signatureFlags = [
  { flags: '--signature <base64>', description: 'the signature, base64; or --signature-path' },
  { flags: '--signature-path <file>', description: 'a file that holds the signature' },
] as const satisfies readonly OptionSpec[]

const verifyInput = messageInput.extend({
  signature: z.base64().optional(),
  signaturePath: z.string().min(1).optional(),
})

/** Each mechanism is a command. */
export const cryptoVerify: readonly Command[] = SIGN_COMMANDS.map(({ name, title, flags, mechanism }) =>
  command({
    path: `crypto verify ${name}`,
    summary: `Verify a signature made with ${title}`,
    options: [...messageFlags, ...flags, ...signatureFlags],
    input: z.intersection(
      verifyInput,
      mechanism.transform((chosen) => ({ chosen })),
    ),
    run: async ({ chosen, ...input }, { loggedIn }) => {
      const { mechanism: asked, data } = await readMessage(input, chosen)
      const signature = await bytesOf('signature', input.signature, input.signaturePath, MAX_SIGNATURE_BYTES)
      const client = await loggedIn()
      const { handle } = await selectKey(client, input.keyFilter)
      if (!(await client.verify(handle, asked, data, signature))) throw new CliError('Signature verification failed')
      return { message: 'Signature verified successfully' }
    },
  }),
)
