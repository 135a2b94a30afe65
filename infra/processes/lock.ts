/** A file that one living process holds, so that two never work on the same directory. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf } from '../trouble.ts'
import { identityOf, isSame, processRecord, type ProcessRecord } from './identity.ts'

/** Whoever takes a dead holder's lock away holds this for some milliseconds; longer than this it was killed over it. */
const STEAL_MS = 5_000

/** The lock, or who has it. A holder that was killed has it no more. */
export async function takeLock(path: string): Promise<{ release(): Promise<void> } | { heldBy: ProcessRecord }> {
  const identity = (await identityOf(process.pid)) ?? ''
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  await writeFile(draft, JSON.stringify({ pid: process.pid, identity } satisfies ProcessRecord), {
    mode: 0o600,
    flag: 'wx',
  })
  try {
    for (;;) {
      // Fails when the name is taken: the file appears with its content, or not at all.
      if (await succeeds(link(draft, path), 'EEXIST')) return { release: () => rm(path, { force: true }) }
      const heldBy = await livingHolder(path)
      if (heldBy) return { heldBy }
      await removeDead(path)
    }
  } finally {
    await rm(draft, { force: true })
  }
}

/** Who holds a lock; undefined when nobody who lives does. */
export async function livingHolder(path: string): Promise<ProcessRecord | undefined> {
  const found = processRecord.safeParse(parse(await readFile(path, 'utf8').catch(() => '')))
  if (!found.success) return undefined
  return (await isSame(found.data)) ? found.data : undefined
}

/** Removes the lock of a dead holder; one at a time, or one could remove what another has just made. */
async function removeDead(path: string): Promise<void> {
  const steal = `${path}.steal`
  if (!(await succeeds(mkdir(steal), 'EEXIST'))) {
    const { mtimeMs } = await stat(steal).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > STEAL_MS) await rmdir(steal).catch(() => undefined)
    await sleep(10)
    return
  }
  try {
    if (!(await livingHolder(path))) await rm(path, { force: true })
  } finally {
    await rmdir(steal)
  }
}

/** False when it fails in the way that was foreseen. */
async function succeeds(work: Promise<unknown>, foreseen: string): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (codeOf(error) === foreseen) return false
    throw error
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
