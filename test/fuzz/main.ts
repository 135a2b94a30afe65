/** `npm run fuzz`: by hand, for as long as one likes. */
import { backups } from './backups.ts'
import { frames } from './frames.ts'
import { Found, fuzz } from './fuzz.ts'
import type { FuzzTarget } from './target.ts'
import { askedFor, HELP, Usage, type Asked, type TargetName } from './words.ts'

const TARGETS: Readonly<Record<TargetName, () => FuzzTarget | Promise<FuzzTarget>>> = { frames: () => frames, backups }
async function run({ targets, seconds, seed }: Asked): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  for (const name of targets) {
    if (stop.signal.aborted) return
    const target = await TARGETS[name]()
    const before = process.cpuUsage()
    try {
      const tried = await fuzz(target, { seconds, seed, signal: stop.signal })
      const { user, system } = process.cpuUsage(before)
      const cpu = Math.round((user + system) / 1e6)
      console.log(`${name}: ${tried} inputs in ${cpu} s of CPU, seed ${seed}: nothing found`)
    } finally {
      await target.close?.()
    }
  }
}

try {
  const what = askedFor(process.argv.slice(2))
  if (what) await run(what)
  else process.stdout.write(HELP)
} catch (error) {
  if (error instanceof Usage) {
    console.error(`${error.message}\n"npm run fuzz -- --help" tells more.`)
    process.exitCode = 2
  } else if (error instanceof Found) {
    console.error(`${error.message}\n`, error.cause)
    console.error('\n"npm test -- test/fuzz" tries it again: commit it with what mends it.')
    process.exitCode = 1
  } else throw error
}
