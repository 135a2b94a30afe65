/** What runs on a data directory, written down by the launcher for `status` and `down`. Holds no secret. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PLACES } from '../places.ts'
import { processRecord } from '../processes/identity.ts'
import { livingHolder } from '../processes/lock.ts'
import { Trouble } from '../trouble.ts'

const instance = z.object({
  url: z.string(),
  version: z.string(),
  startedAt: z.iso.datetime(),
  regions: z.record(z.string(), processRecord),
})
export type Instance = z.infer<typeof instance>

export async function writeInstance(data: string, content: Instance): Promise<void> {
  const path = join(data, PLACES.instance)
  await writeFile(`${path}.new`, JSON.stringify(content, null, 2), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** The last that was written; its launcher may be gone. */
export async function readInstance(data: string): Promise<Instance | undefined> {
  try {
    return instance.parse(JSON.parse(await readFile(join(data, PLACES.instance), 'utf8')))
  } catch {
    return undefined
  }
}

export const removeInstance = (data: string) => rm(join(data, PLACES.instance), { force: true })

/** The launcher that has a data directory now. */
export const livingLauncher = (data: string) => livingHolder(join(data, PLACES.lock))

/** What to say to who would start another one. */
export async function alreadyRunning(data: string, pid: number): Promise<Trouble> {
  const instance = await readInstance(data)
  return new Trouble(
    `Strongroom runs on ${data} already: process ${pid}${instance === undefined ? '' : `, ${instance.url}`}.`,
    { mend: `Use it, end it with "strongroom down --data ${data}", or start another with --data and --port.` },
  )
}
