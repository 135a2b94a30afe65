import { z } from 'zod'
import type { SignMechanism } from '../../../workers/hsm/protocol/mechanisms.ts'
import { CliError } from '../cli-error.ts'
import { command, type Command, type Invocation, type OptionSpec } from '../command.ts'
import { selectKey } from '../filters.ts'
import { bytesOf, messageFlags, readMessage, type messageInput } from './message.ts'
import { ecdsa, rsaPkcs, rsaPkcsPss } from './sign-mechanisms.ts'

const MAX_SIGNATURE_BYTES = 1024

const signatureFlags = [
  { flags: '--signature <base64>', description: 'the signature, base64; or --signature-path' },
  { flags: '--signature-path <file>', description: 'a file that holds the signature' },
] as const satisfies readonly OptionSpec[]

const signatureInput = { signature: z.base64().optional(), signaturePath: z.string().min(1).optional() }

interface VerifyInput extends z.output<typeof messageInput> {
  readonly signature?: string | undefined
  readonly signaturePath?: string | undefined
}

async function verify(
  input: VerifyInput,
  chosen: SignMechanism,
  { loggedIn }: Invocation,
): Promise<{ message: string }> {
  const { mechanism, data } = await readMessage(input, chosen)
  const signature = await bytesOf('signature', input.signature, input.signaturePath, MAX_SIGNATURE_BYTES)
  const client = await loggedIn()
  const { handle } = await selectKey(client, input.keyFilter)
  if (!(await client.verify(handle, mechanism, data, signature))) throw new CliError('Signature verification failed')
  return { message: 'Signature verified successfully' }
}

const about = (name: string, title: string, flags: readonly OptionSpec[]) => ({
  path: `crypto verify ${name}`,
  summary: `Verify a signature of ${title}`,
  options: [...messageFlags, ...flags, ...signatureFlags],
})

export const cryptoVerify: readonly Command[] = [
  command({
    ...about(rsaPkcs.name, rsaPkcs.title, rsaPkcs.flags),
    input: rsaPkcs.input.extend(signatureInput),
    run: (input, invocation) => verify(input, rsaPkcs.mechanism(input), invocation),
  }),
  command({
    ...about(rsaPkcsPss.name, rsaPkcsPss.title, rsaPkcsPss.flags),
    input: rsaPkcsPss.input.extend(signatureInput),
    run: (input, invocation) => verify(input, rsaPkcsPss.mechanism(input), invocation),
  }),
  command({
    ...about(ecdsa.name, ecdsa.title, ecdsa.flags),
    input: ecdsa.input.extend(signatureInput),
    run: (input, invocation) => verify(input, ecdsa.mechanism(input), invocation),
  }),
]
