/**
 * Loopback addresses for HSMs: each region of a data directory has a block of 127.0.0.0/8 of its own, so that two
 * instances on one machine do not meet.
 */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { AddressPort } from '../../api/ports.ts'
import { HSM_PORTS } from '../../provider-schema/limits.ts'
import { writeDurably } from '../files/durable.ts'
import { codeOf, Trouble } from '../trouble.ts'

/** The first three octets of a block of 254 addresses. */
const block = z.object({ block: z.string().regex(/^127\.\d{1,3}\.\d{1,3}$/) })

/** The block that a file names; a random one is chosen, tried and recorded the first time. */
export async function addressBlock(file: string): Promise<string> {
  try {
    return block.parse(JSON.parse(await readFile(file, 'utf8'))).block
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw new Error(`${file} does not name a block of addresses`, { cause: error })
  }
  for (let attempt = 0; attempt < 100; attempt += 1) {
    // 127.0.0.x is left to everybody else.
    const chosen = `127.${randomInt(1, 255)}.${randomInt(0, 256)}`
    const verdict = await bindable(`${chosen}.1`)
    if (verdict === 'impossible') break
    if (verdict === 'taken') continue
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeDurably(file, JSON.stringify({ block: chosen }))
    return chosen
  }
  throw new Trouble('No loopback address besides 127.0.0.1 can be bound on this machine: each HSM needs one.', {
    mend: 'On macOS, add some first: for i in $(seq 2 20); do sudo ifconfig lo0 alias 127.9.9.$i; done',
  })
}

/** Addresses of one block. What is chosen can be bound at that moment. */
export function addressPool(chosenBlock: string): AddressPort {
  const inBlock = (address: string) => address.startsWith(`${chosenBlock}.`)
  return {
    choose: async (taken, requested) => {
      if (requested !== undefined && inBlock(requested) && (await bindable(requested)) === 'free') {
        return { eniIp: requested, listenIp: requested }
      }
      for (let last = 1; last < 255; last += 1) {
        const candidate = `${chosenBlock}.${last}`
        if (taken.has(candidate) || (await bindable(candidate)) !== 'free') continue
        if (requested === undefined) return { eniIp: candidate, listenIp: candidate }
        return {
          eniIp: requested,
          listenIp: candidate,
          note: `This machine cannot bind ${requested}: the HSM listens on ${candidate}.`,
        }
      }
      throw new Error(`no address is left in ${chosenBlock}.0/24`)
    },
  }
}

/** Whether an HSM could listen on all of its ports at this address now. */
export async function bindable(address: string): Promise<'free' | 'taken' | 'impossible'> {
  for (const port of Object.values(HSM_PORTS)) {
    const server = createServer()
    try {
      server.listen({ host: address, port, exclusive: true })
      await once(server, 'listening')
    } catch (error) {
      return codeOf(error) === 'EADDRINUSE' ? 'taken' : 'impossible'
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  }
  return 'free'
}
