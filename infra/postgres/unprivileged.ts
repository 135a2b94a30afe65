/**
 * PostgreSQL refuses to run as root. Who is root all the same (containers) runs it in a user namespace of its own, in
 * which root bears another number: files stay root's, and nothing need be opened to other users. Where namespaces are
 * not permitted it runs as another user, to whom its data directory is given.
 */
import { execFile } from 'node:child_process'
import { lchown, lstat, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Trouble, textOf } from '../trouble.ts'

/** How to start a PostgreSQL program: what stands before it, and as whom. */
export interface Unprivileged {
  readonly prefix: readonly string[]
  readonly user?: { readonly uid: number; readonly gid: number }
}

const NAMESPACE = ['unshare', '--user', '--map-user=1000', '--map-group=1000'] as const
/** Who takes the data directory when namespaces are not permitted; the first there is. */
const USERS = ['postgres', 'nobody'] as const

export interface Circumstances {
  /** Undefined where there are no users (Windows). */
  readonly uid: number | undefined
  /** Whether a program runs in a user namespace here. */
  readonly namespacePermitted: (program: string) => Promise<boolean>
}

/** This process on this machine. */
export const HERE: Circumstances = {
  uid: process.getuid?.(),
  namespacePermitted: (program) =>
    promisify(execFile)(NAMESPACE[0], [...NAMESPACE.slice(1), program, '--version']).then(
      () => true,
      () => false,
    ),
}

/**
 * Decides for a data directory that exists already or not; its owner tells what was decided before. The folder right
 * above it is the caller's to open.
 * @param program one of PostgreSQL's programs, to try with.
 */
export async function unprivileged(dataDir: string, program: string, here = HERE): Promise<Unprivileged> {
  if (here.uid !== 0) return { prefix: [] }
  const existing = await stat(dataDir).catch(() => undefined)
  if (existing && existing.uid !== 0) {
    const user = { uid: existing.uid, gid: existing.gid }
    await requireWay(user, [program, dirname(dataDir)])
    return { prefix: [], user }
  }
  if (await here.namespacePermitted(program)) return { prefix: NAMESPACE }
  const user = await anotherUser()
  await requireWay(user, [program, dirname(dataDir)])
  if (existing) await giveTo(user, dataDir)
  return { prefix: [], user }
}

async function anotherUser(): Promise<{ uid: number; gid: number }> {
  for (const name of USERS) {
    try {
      const id = async (flag: string) => Number((await promisify(execFile)('id', [flag, name])).stdout)
      return { uid: await id('-u'), gid: await id('-g') }
    } catch {
      // There is no such user; the next may do.
    }
  }
  throw new Trouble('PostgreSQL does not run as root, and there is no user to run it as.', {
    mend: `Start Strongroom as another user, or make one of these: ${USERS.join(', ')}.`,
  })
}

/** Every folder above must let the user through. */
async function requireWay({ uid, gid }: { uid: number; gid: number }, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    for (let dir = dirname(path); ; dir = dirname(dir)) {
      const found = await stat(dir).catch(() => undefined)
      if (found) {
        const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001
        if ((found.mode & bit) === 0) {
          throw new Trouble(
            `PostgreSQL does not run as root, user namespaces are not permitted here, and user ${uid} cannot pass ${dir}.`,
            { mend: `chmod o+x ${dir}, or choose another --data, or start Strongroom as another user.` },
          )
        }
      }
      if (dir === dirname(dir)) break
    }
  }
}

/** Gives a file, or a directory and all in it, to a user; links are not followed. */
export async function giveTo(user: { uid: number; gid: number }, path: string): Promise<void> {
  try {
    await lchown(path, user.uid, user.gid)
    if (!(await lstat(path)).isDirectory()) return
    for (const entry of await readdir(path)) await giveTo(user, join(path, entry))
  } catch (error) {
    throw new Trouble(`${path} cannot be given to user ${user.uid}: ${textOf(error)}`, { cause: error })
  }
}
