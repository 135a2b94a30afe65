/**
 * How the `strongroom` command reaches the API of a region: its address and the operator's key, in a file that only the
 * user who runs the region can read. A key lives as long as the process.
 */
import { randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { RegionPlaces } from './places.ts'

const operatorAccess = z.object({ url: z.url(), key: z.string().min(1) })
export type OperatorAccess = z.infer<typeof operatorAccess>

export const newOperatorKey = () => randomBytes(32).toString('hex')

/** Writes it down; what an earlier process wrote is replaced. */
export async function writeOperatorAccess(places: RegionPlaces, access: OperatorAccess): Promise<void> {
  const draft = `${places.operator}.${randomBytes(4).toString('hex')}`
  await writeFile(draft, JSON.stringify(access), { mode: 0o600 })
  await rename(draft, places.operator)
}

/** Undefined when no API of this region has written it. It may be an earlier one's. */
export async function readOperatorAccess(places: RegionPlaces): Promise<OperatorAccess | undefined> {
  try {
    return operatorAccess.parse(JSON.parse(await readFile(places.operator, 'utf8')))
  } catch {
    return undefined
  }
}

/** Unless another process has written its own meanwhile. */
export async function removeOperatorAccess(places: RegionPlaces, { key }: OperatorAccess): Promise<void> {
  if ((await readOperatorAccess(places))?.key === key) await rm(places.operator, { force: true })
}

/** Where this machine reaches a listener: one on all addresses is on loopback too. */
export function localUrl(host: string, port: number): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (host === '::') return `http://[::1]:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
