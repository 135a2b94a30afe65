/**
 * One HSM process as its host sees it: a directory, and at most one process that runs on it.
 *
 * The process is started detached and outlives the host. A host that starts later finds it by `running.json`, or by
 * `started.json` before it listens, and by the command line that only it can have, since process ids are used again.
 */
import { spawn } from 'node:child_process'
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import { endOf } from '../files/end-of.ts'
import { NODE_FLAGS } from '../node/flags.ts'
import { commandLine, identityOf, isAlive, isSame, processRecord, type ProcessRecord } from '../processes/identity.ts'

const MAIN = fileURLToPath(new URL('../../workers/hsm/main.ts', import.meta.url))

/** What a process may inherit: no credential, no address of a database. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ', 'NODE_COMPILE_CACHE']

/** Small heaps to begin with: an idle HSM is to stay below 90 MiB. Costs 4 to 9% of the P-256 signatures of a second. */
export const HSM_HEAP_FLAG = '--max-semi-space-size=2'
const HSM_FLAGS = [...NODE_FLAGS, HSM_HEAP_FLAG, '--no-network-family-autoselection']

/** Of the end of a log: more than three lines. */
const TAIL_BYTES = 64 * 1024

const runningFile = z.object({ pid: z.number().int().positive() })
const startedFile = z.array(processRecord)

/** The process that runs on a directory and listens; undefined when none does. */
export async function findProcess(directory: string): Promise<number | undefined> {
  const text = await readFile(join(directory, HSM_FILES.running), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const running = runningFile.safeParse(parseJson(text))
  return running.success && (await runsOn(running.data.pid, directory)) ? running.data.pid : undefined
}

/**
 * All processes of a directory, also those that were started and do not listen yet. Only one of them can use it: another
 * finds that one's lock, and ends; or goes on in its place.
 */
export async function processesOf(directory: string): Promise<number[]> {
  const listening = await findProcess(directory)
  const started = (await startedOn(directory)).map(({ pid }) => pid)
  return [...new Set(listening === undefined ? started : [listening, ...started])]
}

async function startedOn(directory: string): Promise<ProcessRecord[]> {
  const text = await readFile(join(directory, HSM_FILES.started), 'utf8').catch(() => '')
  const { data = [] } = startedFile.safeParse(parseJson(text))
  const are = await Promise.all(data.map(async (each) => (await isSame(each)) && (await runsOn(each.pid, directory))))
  return data.filter((_, i) => are[i])
}

async function noteStart(pid: number, directory: string): Promise<void> {
  const identity = await identityOf(pid)
  if (identity === undefined) return
  const started = JSON.stringify([...(await startedOn(directory)), { pid, identity }])
  // A full disk must not keep an HSM from running.
  await writeFile(join(directory, HSM_FILES.started), started, { mode: 0o600 }).catch(() => undefined)
}

/** Whether this process is an HSM on this directory. */
export async function runsOn(pid: number, directory: string): Promise<boolean> {
  if (!(await isAlive(pid))) return false
  const words = await commandLine(pid)
  if (words === undefined) return false
  // Once it runs the process has a title in place of its arguments; before it knows its own id, one without the id.
  const title = words.join(' ').trim()
  return words.includes(directory) || title === 'strongroom-hsm' || title === `strongroom-hsm ${basename(directory)}`
}

/** Starts the process of a directory, detached; its output goes to its log. Resolves with its pid and its end. */
export async function startProcess(directory: string): Promise<{ pid: number; ended: Promise<number | null> }> {
  // Left by a process that was killed: nobody may take it for the new one's.
  await rm(join(directory, HSM_FILES.running), { force: true })
  const log = await open(join(directory, HSM_FILES.log), 'a', 0o600)
  try {
    const child = spawn(process.execPath, [...HSM_FLAGS, MAIN, '--dir', directory], {
      detached: true,
      cwd: directory,
      env: Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
      stdio: ['ignore', log.fd, log.fd],
    })
    const ended = new Promise<number | null>((resolve) => {
      child.once('exit', (code) => resolve(code))
      child.once('error', () => resolve(null))
    })
    child.unref()
    if (child.pid === undefined) throw new Error(`the HSM process of ${directory} could not be started`)
    await noteStart(child.pid, directory)
    return { pid: child.pid, ended }
  } finally {
    await log.close()
  }
}

/** Ends a process: asks first, and no longer after `graceMs`. Resolves when it is gone. */
export async function endProcess(pid: number, directory: string, graceMs: number): Promise<void> {
  if (!(await runsOn(pid, directory))) return
  signal(pid, 'SIGTERM')
  for (let waited = 0; waited < graceMs; waited += 50) {
    if (!(await isAlive(pid))) return
    await sleep(50)
  }
  signal(pid, 'SIGKILL')
  while (await isAlive(pid)) await sleep(20)
}

/** The last lines of an HSM's log: why it ended. */
export async function lastWords(directory: string): Promise<string> {
  const text = await endOf(join(directory, HSM_FILES.log), TAIL_BYTES)
  return text.trim().split('\n').slice(-3).join('\n')
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended meanwhile, which is what was wanted.
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
