import { writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { CliError } from '../cli-error.ts'
import { command, type Command } from '../command.ts'
import { messageOf } from '../config.ts'
import { requiredFilterFlag, selectKey } from '../filters.ts'
import { WRAP_COMMANDS } from './wrap-mechanisms.ts'

const common = z.object({
  payloadFilter: requiredFilterFlag,
  wrappingFilter: requiredFilterFlag,
  path: z.string().min(1).optional(),
})

/** Each mechanism is a command. */
export const keyWrap: readonly Command[] = WRAP_COMMANDS.map(({ name, title, flags, wrap }) =>
  command({
    path: `key wrap ${name}`,
    summary: `Wrap a key with ${title}`,
    options: [
      { flags: '--payload-filter <filter...>', description: 'selects the key to wrap', required: true },
      { flags: '--wrapping-filter <filter...>', description: 'selects the key to wrap it with', required: true },
      { flags: '--path <file>', description: 'where to write the wrapped key, instead of printing it' },
      ...flags,
    ],
    input: z.intersection(
      common,
      wrap.transform((mechanism) => ({ mechanism })),
    ),
    run: async ({ payloadFilter, wrappingFilter, path, mechanism }, { loggedIn }) => {
      const client = await loggedIn()
      const { handle } = await selectKey(client, payloadFilter)
      const { handle: wrappingHandle } = await selectKey(client, wrappingFilter)
      const { wrapped, iv } = await client.keys.wrap({ handle, wrappingHandle, mechanism })
      if (path !== undefined) await write(path, wrapped)
      return {
        payload_key_reference: handle,
        wrapping_key_reference: wrappingHandle,
        ...(iv && { iv: `0x${Buffer.from(iv).toString('hex')}` }),
        ...(path === undefined && { wrapped_key_data: Buffer.from(wrapped).toString('base64') }),
      }
    },
  }),
)

async function write(path: string, wrapped: Uint8Array): Promise<void> {
  try {
    await writeFile(path, wrapped)
  } catch (error) {
    throw new CliError(`cannot write ${path}: ${messageOf(error)}`)
  }
}
