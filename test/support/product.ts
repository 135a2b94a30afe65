/** The product as its users have it: `bin/strongroom up` in a process of its own, reached over its port. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CloudHSMV2 } from '@aws-sdk/client-cloudhsm-v2'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

export interface Product {
  readonly url: string
  readonly port: number
  readonly data: string
  /** The process of `strongroom up`. */
  readonly process: ChildProcess
  /** A client of the real SDK for one region. */
  readonly aws: (region?: string) => CloudHSMV2
  /** All that it printed. */
  readonly output: () => string
  /** Ends it as Ctrl-C would; its data stay. */
  stop(): Promise<void>
  /** Starts it again on the same data and port. */
  again(): Promise<Product>
  /** Ends everything of it, and removes its data. */
  dispose(): Promise<void>
}

export interface ProductOptions {
  readonly regions?: readonly string[]
  readonly data?: string
  readonly port?: number
  readonly env?: Readonly<Record<string, string>>
  /** More of what `strongroom up` may be told. */
  readonly flags?: readonly string[]
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Starts it and waits until it is ready; throws with what it printed when it is not within a minute. */
export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const regions = options.regions ?? ['us-east-1']
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'strongroom-test-')))
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const child = spawn(
    join(ROOT, 'bin/strongroom'),
    ['up', '--data', data, '--port', String(port), '--regions', regions.join(','), ...(options.flags ?? [])],
    { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => (output += text))
  }
  await untilTrue(
    async () => {
      if (child.exitCode !== null) throw new Error(`strongroom up ended with ${child.exitCode}:\n${output}`)
      return (await fetch(`${url}/_strongroom/ready`).catch(() => undefined))?.ok === true
    },
    { seconds: 60, what: () => `strongroom is not ready:\n${output}` },
  )
  const clients: CloudHSMV2[] = []
  const stop = async () => {
    for (const client of clients.splice(0)) client.destroy()
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  return {
    url,
    port,
    data,
    process: child,
    output: () => output,
    aws: (region = regions[0] ?? 'us-east-1') => {
      const client = new CloudHSMV2({
        endpoint: url,
        region,
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      })
      clients.push(client)
      return client
    },
    stop,
    again: () => startProduct({ ...options, regions, data, port }),
    dispose: async () => {
      await stop()
      await run(join(ROOT, 'bin/strongroom'), ['down', '--data', data])
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Looks again and again until it is so; throws when it is not in time. */
export async function untilTrue(
  check: () => Promise<boolean>,
  { seconds, what, everyMs = 50 }: { seconds: number; what: () => string; everyMs?: number },
): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what()}`)
    await sleep(everyMs)
  }
}

/** One file below the data directory, as text. */
export const readData = (product: Product, ...path: string[]) => readFile(join(product.data, ...path), 'utf8')
