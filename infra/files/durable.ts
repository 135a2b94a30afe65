/** Files that are there whole or not at all, whatever dies when. */
import { randomBytes } from 'node:crypto'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Files that are synced at the same time: the file system puts what they ask for into one write of its journal. */
const SYNCED_AT_ONCE = 16

/** Makes what was created, renamed or removed in a directory survive a loss of power. */
export async function syncDirectory(dir: string): Promise<void> {
  await sync(dir)
}

/** Makes all files and directories below a directory survive a loss of power, and itself. */
export async function syncTree(dir: string): Promise<void> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile() || entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .values()
  const syncRest = async () => {
    for (const path of paths) await sync(path)
  }
  await Promise.all(Array.from({ length: SYNCED_AT_ONCE }, syncRest))
  await sync(dir)
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Replaces a file in one step: a reader sees the old content or the new, never a part. */
export async function writeDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    const file = await open(draft, 'wx', mode)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}
