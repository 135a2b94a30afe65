/** `strongroom up --detach`: the launcher in a process of its own, and how it learns what to do. */
import { spawn } from 'node:child_process'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Configuration } from '../configuration/configuration.ts'
import { NODE_FLAGS } from '../node/flags.ts'
import { PLACES } from '../places.ts'
import { Trouble } from '../trouble.ts'
import { welcome } from './welcome.ts'

const MAIN = fileURLToPath(new URL('../launcher/detached.ts', import.meta.url))

/** What the detached launcher says to who started it. */
export const fromDetached = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), url: z.string(), postgresPort: z.number().optional() }),
  z.object({ type: z.literal('trouble'), message: z.string(), mend: z.string().optional() }),
])
export type FromDetached = z.infer<typeof fromDetached>

/** Returns when it is ready. The configuration goes over IPC: nothing of it shows in a list of processes. */
export async function upDetached(configuration: Configuration): Promise<void> {
  const began = performance.now()
  const logs = join(configuration.data, PLACES.logs)
  await mkdir(logs, { recursive: true, mode: 0o700 })
  const consoleFile = join(logs, 'console.log')
  const output = await open(consoleFile, 'w', 0o600)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AWS_|PG|STRONGROOM_)/.test(name)))
  const child = spawn(process.execPath, [...NODE_FLAGS, MAIN], {
    env,
    detached: true,
    stdio: ['ignore', output.fd, output.fd, 'ipc'],
  })
  await output.close()
  child.send(configuration)
  const told = await new Promise<FromDetached>((resolve, reject) => {
    child.once('message', (message) => resolve(fromDetached.parse(message)))
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      void readFile(consoleFile, 'utf8').then((said) => {
        reject(new Trouble(`The launcher ended (${String(signal ?? code)}).\n${said.trim()}`))
      }, reject)
    })
  })
  if (told.type === 'trouble') {
    throw new Trouble(told.message, told.mend === undefined ? {} : { mend: told.mend })
  }
  if (child.connected) child.disconnect()
  child.unref()
  const { url, postgresPort } = told
  process.stdout.write(welcome(configuration, { url, postgresPort, ms: performance.now() - began }))
  process.stdout.write(`It runs in the background (process ${String(child.pid)}); strongroom down ends it.\n`)
}
