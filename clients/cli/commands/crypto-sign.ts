import type { z } from 'zod'
import type { SignMechanism } from '../../../workers/hsm/protocol/mechanisms.ts'
import { command, type Command, type Invocation, type OptionSpec } from '../command.ts'
import { selectKey } from '../filters.ts'
import { messageFlags, readMessage, type messageInput } from './message.ts'
import { ecdsa, rsaPkcs, rsaPkcsPss } from './sign-mechanisms.ts'

async function sign(
  input: z.output<typeof messageInput>,
  chosen: SignMechanism,
  { loggedIn }: Invocation,
): Promise<{ 'key-reference': string; signature: string }> {
  const { mechanism, data } = await readMessage(input, chosen)
  const client = await loggedIn()
  const { handle } = await selectKey(client, input.keyFilter)
  const signature = await client.sign(handle, mechanism, data)
  return { 'key-reference': handle, signature: Buffer.from(signature).toString('base64') }
}

const about = (name: string, title: string, flags: readonly OptionSpec[]) => ({
  path: `crypto sign ${name}`,
  summary: `Sign with ${title}`,
  options: [...messageFlags, ...flags],
})

export const cryptoSign: readonly Command[] = [
  command({
    ...about(rsaPkcs.name, rsaPkcs.title, rsaPkcs.flags),
    input: rsaPkcs.input,
    run: (input, invocation) => sign(input, rsaPkcs.mechanism(input), invocation),
  }),
  command({
    ...about(rsaPkcsPss.name, rsaPkcsPss.title, rsaPkcsPss.flags),
    input: rsaPkcsPss.input,
    run: (input, invocation) => sign(input, rsaPkcsPss.mechanism(input), invocation),
  }),
  command({
    ...about(ecdsa.name, ecdsa.title, ecdsa.flags),
    input: ecdsa.input,
    run: (input, invocation) => sign(input, ecdsa.mechanism(input), invocation),
  }),
]
