/** Durations as a person writes them. */
import { Trouble } from '../trouble.ts'

const UNITS = { w: 7 * 86_400, d: 86_400, h: 3_600, m: 60, s: 1 } as const

/** Seconds of `8d`, `36h`, `1d12h`, `90m`. Throws a Trouble for anything else, and for no time at all. */
export function secondsIn(text: string): number {
  const parts = /^(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?$/.exec(text)
  const seconds = Object.values(UNITS).reduce((sum, unit, i) => sum + unit * Number(parts?.[i + 1] ?? 0), 0)
  if (!parts || seconds === 0) {
    throw new Trouble(`${text} is not a duration.`, { mend: 'Write it as 8d, 36h, 1d12h or 90m.' })
  }
  return seconds
}

/** The two largest units of it, e.g. `8d 4h`. */
export function durationText(seconds: number): string {
  let left = Math.round(seconds)
  const parts: string[] = []
  for (const [name, unit] of Object.entries(UNITS).slice(1)) {
    const n = Math.floor(left / unit)
    left -= n * unit
    if (n > 0) parts.push(`${n}${name}`)
  }
  return parts.slice(0, 2).join(' ') || '0s'
}
