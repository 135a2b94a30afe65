/** One region's process, kept alive: started again, after a growing pause, whenever it ends. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { NODE_FLAGS } from '../node/flags.ts'
import { fromRegion, type ToRegion } from '../region/messages.ts'
import type { Peers, RegionSettings } from '../region/settings.ts'
import { Trouble } from '../trouble.ts'

const MAIN = fileURLToPath(new URL('../region/main.ts', import.meta.url))

export interface RegionProcessOptions {
  readonly region: string
  /** May come after the process was started: it loads its code meanwhile. Rejects when there will be none. */
  readonly settings: Promise<RegionSettings>
  readonly log: Logger
  /** The API listens here from now on; undefined: nowhere. */
  readonly onApi: (port: number | undefined) => void
  readonly onPeer: (port: number) => void
  readonly onPid: (pid: number | undefined) => void
  /** It cannot run as configured. */
  readonly onTrouble: (trouble: Trouble) => void
}

export interface RegionProcess {
  setPeers(peers: Peers): void
  /** Ends it for good; kills it when it does not end in time. */
  stop(options: { readonly leaveHsms: boolean }): Promise<void>
}

const PAUSE_MS = { first: 100, longest: 5_000 } as const
/** A process that ran this long was well: the next pause is short again. */
const WELL_MS = 10_000
const STOP_MS = 25_000

/** What a region need not know; AWS_ and PG variables would even change what its libraries do. */
const WITHHELD = /^(AWS_|PG|STRONGROOM_)/

export function keepRegion(options: RegionProcessOptions): RegionProcess {
  const stopping = new AbortController()
  let child: ChildProcess | undefined
  let peers: Peers | undefined
  const send = (message: ToRegion) => {
    if (child?.connected) child.send(message, () => undefined)
  }

  const runOnce = async (): Promise<void> => {
    child = startProcess()
    options.onPid(child.pid)
    const ended = once(child, 'exit').then(([code, signal]: unknown[]) => String(signal ?? code))
    child.on('error', (error) => options.log.error({ err: error }, `${options.region} could not be started`))
    child.on('message', (message) => {
      const told = fromRegion.parse(message)
      if (told.type === 'api') options.onApi(told.port)
      else if (told.type === 'peer') options.onPeer(told.port)
      else options.onTrouble(new Trouble(told.message, told.mend === undefined ? {} : { mend: told.mend }))
    })
    // It listens for messages from its first line on; what is sent before waits in the pipe.
    void options.settings.then(
      (settings) => send({ type: 'start', settings: { ...settings, peers: peers ?? settings.peers } }),
      () => undefined,
    )
    const how = await ended
    child = undefined
    options.onPid(undefined)
    options.onApi(undefined)
    if (!stopping.signal.aborted) options.log.warn(`${options.region} ended (${how}); it is started again`)
  }

  const kept = (async () => {
    let pause: number = PAUSE_MS.first
    while (!stopping.signal.aborted) {
      const began = performance.now()
      await runOnce()
      pause = performance.now() - began > WELL_MS ? PAUSE_MS.first : Math.min(pause * 2, PAUSE_MS.longest)
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  })()

  return {
    setPeers: (next) => {
      peers = next
      send({ type: 'peers', peers: next })
    },
    stop: async ({ leaveHsms }) => {
      stopping.abort()
      send({ type: 'stop', leaveHsms })
      const timer = setTimeout(() => child?.kill('SIGKILL'), STOP_MS)
      await kept
      clearTimeout(timer)
    },
  }
}

function startProcess(): ChildProcess {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !WITHHELD.test(name)))
  return spawn(process.execPath, [...NODE_FLAGS, MAIN], {
    env,
    // In a session of its own: Ctrl-C on the terminal reaches the launcher, which stops it in order.
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}
