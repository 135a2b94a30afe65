import { writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { CliError } from '../cli-error.ts'
import { command } from '../command.ts'
import { messageOf } from '../config.ts'
import { requiredFilterFlag, selectKey } from '../filters.ts'

export const keyGenerateFile = command({
  path: 'key generate-file',
  summary: 'Write the public half of a key to a file',
  options: [
    { flags: '--encoding <encoding>', description: 'form of the file', required: true, choices: ['pem'] },
    { flags: '--path <file>', description: 'the file to write', required: true },
    {
      flags: '--filter <filter...>',
      description: 'selects exactly one key: key-reference=0x… or attr.NAME=VALUE',
      required: true,
    },
  ],
  input: z.object({ path: z.string().min(1), filter: requiredFilterFlag }),
  run: async ({ path, filter }, { loggedIn }) => {
    const client = await loggedIn()
    const { handle, attributes } = await selectKey(client, filter)
    if (attributes.class === 'secret-key') throw new CliError('A secret key has no public half to write')
    const spki = await client.keys.publicKey(handle)
    try {
      await writeFile(path, pemOf(spki))
    } catch (error) {
      throw new CliError(`cannot write ${path}: ${messageOf(error)}`)
    }
    return { message: 'Successfully generated key file' }
  },
})

/** RFC 7468 §13. */
function pemOf(spki: Uint8Array): string {
  const lines =
    Buffer.from(spki)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return ['-----BEGIN PUBLIC KEY-----', ...lines, '-----END PUBLIC KEY-----', ''].join('\n')
}
