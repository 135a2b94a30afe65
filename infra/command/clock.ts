/** `strongroom clock`: shows the service clock of every region of a data directory, and moves it in a rehearsal. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { REGION_NAME } from '../configuration/configuration.ts'
import { dataDirectory } from '../configuration/load.ts'
import { PLACES } from '../places.ts'
import { readOperatorAccess, type OperatorAccess } from '../region/operator-access.ts'
import { regionPlaces } from '../region/places.ts'
import { textOf, Trouble } from '../trouble.ts'
import { durationText, secondsIn } from './duration.ts'
import type { ClockFlags } from './flags.ts'
import { table } from './table.ts'

const ANSWER_MS = 10_000

const shown = z.object({
  region: z.string(),
  now: z.iso.datetime(),
  aheadSeconds: z.number(),
  rehearsal: z.boolean(),
})
type Shown = z.infer<typeof shown>

export async function showClock(flags: ClockFlags): Promise<void> {
  const regions = await runningRegions(flags)
  print(await Promise.all(regions.map((region) => ask(region))), flags)
}

/** Every region, or none: the first look finds out whether one of them would refuse. */
export async function advanceClock(duration: string, flags: ClockFlags): Promise<void> {
  const advanceSeconds = secondsIn(duration)
  const regions = await runningRegions(flags)
  const fixed = (await Promise.all(regions.map((region) => ask(region)))).filter(({ rehearsal }) => !rehearsal)
  if (fixed.length > 0) {
    throw new Trouble(`The clock is not moved: ${names(fixed)} was not started with --rehearsal.`, {
      mend: 'Rehearse on a data directory of its own: "strongroom up --rehearsal --data …".',
    })
  }
  print(await Promise.all(regions.map((region) => ask(region, { advanceSeconds }))), flags)
}

interface RunningRegion {
  readonly name: string
  readonly access: OperatorAccess
}

async function runningRegions(flags: ClockFlags): Promise<RunningRegion[]> {
  const data = dataDirectory(flags.data)
  const directories = await readdir(join(data, PLACES.regions)).catch(() => [])
  const found = await Promise.all(
    directories
      .filter((name) => REGION_NAME.test(name))
      .toSorted()
      .map(async (name) => ({ name, access: await readOperatorAccess(regionPlaces(data, name)) })),
  )
  const running = found.flatMap(({ name, access }) => (access ? [{ name, access }] : []))
  if (running.length === 0) {
    throw new Trouble(`Nothing runs on ${data}.`, { mend: 'Start it with "strongroom up", or name it with --data.' })
  }
  return running
}

async function ask({ name, access }: RunningRegion, advance?: { advanceSeconds: number }): Promise<Shown> {
  const response = await fetch(`${access.url}/_strongroom/clock`, {
    method: advance ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${access.key}`, 'content-type': 'application/json' },
    ...(advance && { body: JSON.stringify(advance) }),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((error: unknown) => {
    throw new Trouble(`${name} does not answer: ${textOf(error)}`, { mend: 'See "strongroom status".', cause: error })
  })
  const answer: unknown = await response.json().catch(() => undefined)
  if (response.ok) return shown.parse(answer)
  const refusal = z.object({ message: z.string() }).safeParse(answer)
  throw new Trouble(`${name} refused: ${refusal.data?.message ?? `status ${response.status}`}`)
}

function print(clocks: readonly Shown[], { json }: ClockFlags): void {
  if (json === true) {
    process.stdout.write(`${JSON.stringify(clocks, null, 2)}\n`)
    return
  }
  const rows = clocks.map(({ region, now, aheadSeconds, rehearsal }) => [
    region,
    now,
    aheadSeconds === 0 ? 'real time' : `${durationText(aheadSeconds)} ahead`,
    rehearsal ? 'can be moved' : 'fixed',
  ])
  process.stdout.write(table(['REGION', 'NOW', 'AHEAD', ''], rows))
}

const names = (clocks: readonly Shown[]) => clocks.map(({ region }) => region).join(', ')
