/**
 * The fleet's identity key: 32 bytes in a file of the fleet directory, readable by its owner only. It seals secret access
 * keys and temporary credentials, so all machines of a fleet must have the same.
 */
import { randomBytes } from 'node:crypto'
import { link, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { IDENTITY_KEY_BYTES, identityKey, type IdentityKey } from '../../api/identity/identity-key.ts'
import { syncDirectory, writeDurably } from '../files/durable.ts'
import { IDENTITY_KEY_FILE, type Fleet } from '../pki/fleet.ts'
import { codeOf, Trouble } from '../trouble.ts'

/** A fleet of before this version has none: whoever comes first makes it for all. Throws a Trouble. */
export async function loadIdentityKey({ dir }: Pick<Fleet, 'dir'>): Promise<IdentityKey> {
  const file = join(dir, IDENTITY_KEY_FILE)
  const material = (await content(file)) ?? (await make(dir, file))
  try {
    if (((await stat(file)).mode & 0o077) !== 0) {
      throw new Trouble(`${file} is open to other users of this machine.`, { mend: `chmod 600 ${file}` })
    }
    if (material.length !== IDENTITY_KEY_BYTES) {
      throw new Trouble(`${file} is ${material.length} bytes long, not ${IDENTITY_KEY_BYTES}.`, {
        mend: 'Restore it from a copy of the fleet directory.',
      })
    }
    return identityKey(material)
  } finally {
    material.fill(0)
  }
}

async function content(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
}

async function make(dir: string, file: string): Promise<Buffer> {
  const draft = `${file}.${randomBytes(4).toString('hex')}`
  await writeDurably(draft, randomBytes(IDENTITY_KEY_BYTES))
  await link(draft, file).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  await rm(draft)
  await syncDirectory(dir)
  const made = await content(file)
  if (!made) throw new Error(`${file} vanished`)
  return made
}
