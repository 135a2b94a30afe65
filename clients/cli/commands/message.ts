/** What is to be signed or was, given as base64 or in a file. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { MAX_MESSAGE_BYTES } from '../../../workers/hsm/protocol/client/crypto.ts'
import { takesDigest, type SignMechanism } from '../../../workers/hsm/protocol/mechanisms.ts'
import { CliError } from '../cli-error.ts'
import type { OptionSpec } from '../command.ts'
import { messageOf } from '../config.ts'
import { requiredFilterFlag } from '../filters.ts'

export const messageFlags = [
  {
    flags: '--key-filter <filter...>',
    description: 'selects exactly one key: key-reference=0x… or attr.NAME=VALUE',
    required: true,
  },
  { flags: '--data <base64>', description: 'the data, base64; or --data-path' },
  { flags: '--data-path <file>', description: 'a file that holds the data' },
] as const satisfies readonly OptionSpec[]

export const messageInput = z.object({
  keyFilter: requiredFilterFlag,
  data: z.base64().optional(),
  dataPath: z.string().min(1).optional(),
})

/** The bytes given as base64 or in a file. Throws CliError unless exactly one of both is given. */
export async function bytesOf(
  flag: string,
  base64: string | undefined,
  path: string | undefined,
  maxBytes: number,
): Promise<Buffer> {
  if ((base64 === undefined) === (path === undefined)) {
    throw new CliError(`Give either --${flag} (base64) or --${flag}-path (a file)`)
  }
  if (path === undefined) return Buffer.from(base64 ?? '', 'base64')
  try {
    const { size } = await stat(path)
    if (size > maxBytes) throw new CliError(`${path} is longer than ${maxBytes} bytes`)
    return await readFile(path)
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(`cannot read ${path}: ${messageOf(error)}`)
  }
}

/**
 * The data and how it is to be taken. A file too long for a request is hashed here, piece by piece: what is signed is
 * the same.
 */
export async function readMessage<Mechanism extends SignMechanism>(
  { data, dataPath }: z.output<typeof messageInput>,
  mechanism: Mechanism,
): Promise<{ mechanism: Mechanism; data: Buffer }> {
  if (data === undefined && dataPath !== undefined && takesDigest(mechanism) && mechanism.dataType !== 'digest') {
    const size = await sizeOf(dataPath)
    if (size > MAX_MESSAGE_BYTES) {
      return {
        mechanism: { ...mechanism, dataType: 'digest' },
        data: await digestOf(dataPath, mechanism.hash ?? 'sha512'),
      }
    }
  }
  return { mechanism, data: await bytesOf('data', data, dataPath, MAX_MESSAGE_BYTES) }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    throw new CliError(`cannot read ${path}: ${messageOf(error)}`)
  }
}

async function digestOf(path: string, hash: string): Promise<Buffer> {
  const digest = createHash(hash)
  await pipeline(createReadStream(path), digest)
  return digest.digest()
}
