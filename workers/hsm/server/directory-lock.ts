/** One process for one directory: who holds the lock may open what is in it. The kernel frees it when the process dies. */
import { createHash } from 'node:crypto'
import { realpath, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Throws an error that says so when another process holds the directory; that one's `onAsked` is called then: whoever started
 * a second process does not know of the first.
 */
export async function lockDirectory(directory: string, onAsked: () => void = () => undefined): Promise<DirectoryLock> {
  const name = `strongroom-hsm-${createHash('sha256')
    .update(await realpath(directory))
    .digest('hex')
    .slice(0, 32)}`
  // Linux has socket names outside the file system, which vanish with their owner; elsewhere a file is left behind by a
  // killed process, and whether someone listens on it tells if it is stale.
  const path = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`)
  const server = await listen(path, onAsked)
  if (server) return held(directory, server)
  if (await someoneListens(path)) return held(directory, undefined)
  if (process.platform !== 'linux') await unlink(path)
  return held(directory, await listen(path, onAsked))
}

function held(directory: string, server: Server | undefined): DirectoryLock {
  if (!server) throw new Error(`another process runs the HSM in ${directory}`)
  server.unref()
  return { release: () => new Promise((resolve) => void server.close(() => resolve())) }
}

/** Undefined when somebody has the name already. */
function listen(path: string, onAsked: () => void): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.destroy()
      onAsked()
    })
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(path, () => resolve(server))
  })
}

function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
