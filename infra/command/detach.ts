/** `strongroom up --detach`: the launcher in a process of its own, and how it learns what to do. */
import { spawn, type ChildProcess } from 'node:child_process'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Configuration } from '../configuration/configuration.ts'
import { ownDirectory } from '../files/own-directory.ts'
import { alreadyRunning, livingLauncher } from '../launcher/instance.ts'
import { NODE_FLAGS } from '../node/flags.ts'
import { PLACES } from '../places.ts'
import { Trouble } from '../trouble.ts'
import { welcome } from './welcome.ts'

const MAIN = fileURLToPath(new URL('../launcher/detached.ts', import.meta.url))

/** What the detached launcher says to who started it. */
export const fromDetached = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), url: z.string(), postgresPort: z.number().optional() }),
  z.object({ type: z.literal('waiting'), waitingFor: z.array(z.string()) }),
  z.object({ type: z.literal('trouble'), message: z.string(), mend: z.string().optional() }),
])
export type FromDetached = z.infer<typeof fromDetached>

/** A start takes seconds. What takes longer than this waits for somebody to do something. */
const PATIENCE_MS = 120_000
/** Of what the launcher printed, enough to see why it ended. */
const SAID_BYTES = 64 * 1024

/** Returns when it is ready; throws a Trouble when it ended, or is not ready in time: it goes on trying then. The configuration goes over IPC: nothing of it shows in a list of processes. */
export async function upDetached(configuration: Configuration, patienceMs = PATIENCE_MS): Promise<void> {
  const began = performance.now()
  const logs = join(configuration.data, PLACES.logs)
  await ownDirectory(logs)
  // What runs writes to the file that would be begun anew.
  const running = await livingLauncher(configuration.data)
  if (running) throw await alreadyRunning(configuration.data, running.pid)
  const consoleFile = join(logs, 'console.log')
  const output = await open(consoleFile, 'w+', 0o600)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AWS_|PG|STRONGROOM_)/.test(name)))
  const child = spawn(process.execPath, [...NODE_FLAGS, MAIN], {
    env,
    detached: true,
    stdio: ['ignore', output.fd, output.fd, 'ipc'],
  })
  child.send(configuration)
  let told: LastWord
  try {
    told = await lastWord(child, output, configuration.data, patienceMs)
  } finally {
    if (child.connected) child.disconnect()
    child.unref()
    await output.close()
  }
  if (told.type === 'trouble') {
    throw new Trouble(told.message, told.mend === undefined ? {} : { mend: told.mend })
  }
  const { url, postgresPort } = told
  process.stdout.write(welcome(configuration, { url, postgresPort, ms: performance.now() - began }))
  const end = `"strongroom down --data ${configuration.data}"`
  process.stdout.write(`It runs in the background (process ${String(child.pid)}); ${end} ends it.\n`)
}

type LastWord = Exclude<FromDetached, { type: 'waiting' }>

function lastWord(child: ChildProcess, output: FileHandle, data: string, patienceMs: number): Promise<LastWord> {
  const heard = Promise.withResolvers<LastWord>()
  let waitingFor: readonly string[] = []
  const onMessage = (message: unknown) => {
    const told = fromDetached.parse(message)
    if (told.type !== 'waiting') {
      heard.resolve(told)
      return
    }
    waitingFor = told.waitingFor
    for (const line of waitingFor) process.stderr.write(`still waiting: ${line}\n`)
  }
  child.on('message', onMessage)
  child.once('error', heard.reject)
  child.once('exit', (code, signal) => {
    void beginningOf(output).then((said) => {
      heard.reject(new Trouble(`The launcher ended (${String(signal ?? code)}).\n${said.trim()}`))
    }, heard.reject)
  })
  const timer = setTimeout(() => {
    const what = waitingFor.length === 0 ? '' : ` Still waiting: ${waitingFor.join('; ')}.`
    heard.reject(
      new Trouble(`Strongroom is not ready after ${Math.round(patienceMs / 1000)} s.${what}`, {
        mend: `It goes on trying in the background: "strongroom status --data ${data}" says how far it is, "strongroom down --data ${data}" ends it.`,
      }),
    )
  }, patienceMs)
  return heard.promise.finally(() => {
    clearTimeout(timer)
    child.removeAllListeners()
  })
}

/** Read from what is open: the file may be gone by now. */
async function beginningOf(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(SAID_BYTES), 0, SAID_BYTES, 0)
  return buffer.toString('utf8', 0, bytesRead)
}
