/** moto server (Python), the peer of the API's benchmarks; undefined where it is not installed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Moto {
  readonly port: number
  stop(): void
}

export async function startMoto(): Promise<Moto | undefined> {
  const port = await freePort()
  const child = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore', detached: true })
  const failed = once(child, 'error').then(() => false)
  // pyenv's shim starts the real one: both are in the group that was made for it.
  const stop = () => {
    if (child.pid !== undefined) process.kill(-child.pid)
  }
  if (await Promise.race([failed, answers(port)])) return { port, stop }
  stop()
  return undefined
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function answers(port: number): Promise<boolean> {
  for (let i = 0; i < 150; i++) {
    if (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)) return true
    await sleep(100)
  }
  return false
}
