import { createPublicKey } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { MAX_KEY_BYTES } from '../../../workers/hsm/protocol/client/transfer.ts'
import { attributesFlag, withLabel } from '../attributes.ts'
import { CliError } from '../cli-error.ts'
import { command } from '../command.ts'
import { messageOf } from '../config.ts'
import { presentKey } from '../present.ts'

const CLASSES = { 'ec-public': 'ec', 'rsa-public': 'rsa' } as const

export const keyImportPem = command({
  path: 'key import pem',
  summary: 'Import a public key',
  options: [
    { flags: '--path <file>', description: 'a PEM file that holds the public key', required: true },
    { flags: '--label <label>', description: 'label of the key', required: true },
    {
      flags: '--key-type-class <class>',
      description: 'what kind of key it is',
      required: true,
      choices: Object.keys(CLASSES),
    },
    { flags: '--attributes <attributes...>', description: 'attributes of the key, as NAME=VALUE' },
  ],
  input: z.object({
    path: z.string().min(1),
    // One less than elsewhere (data-plane §2.2).
    label: z.string().max(126),
    keyTypeClass: z.enum(['ec-public', 'rsa-public']),
    attributes: attributesFlag,
  }),
  run: async ({ path, label, keyTypeClass, attributes }, { loggedIn }) => {
    const key = await publicKeyIn(path)
    const client = await loggedIn()
    const imported = await client.keys.import({
      class: 'public-key',
      type: CLASSES[keyTypeClass],
      key,
      attributes: withLabel(attributes, label, false),
    })
    return { key: presentKey(imported), message: 'Successfully imported key' }
  },
})

/** DER SubjectPublicKeyInfo. A file with a private key is refused: it would be thought to be in the HSM. */
async function publicKeyIn(path: string): Promise<Buffer> {
  let pem: string
  try {
    if ((await stat(path)).size > 2 * MAX_KEY_BYTES) throw new Error('it is too long')
    pem = await readFile(path, 'utf8')
  } catch (error) {
    throw new CliError(`cannot read ${path}: ${messageOf(error)}`)
  }
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem)) throw new CliError(`${path} holds no public key in PEM`)
  try {
    return createPublicKey(pem).export({ type: 'spki', format: 'der' })
  } catch (error) {
    throw new CliError(`${path} holds no public key in PEM: ${messageOf(error)}`)
  }
}
