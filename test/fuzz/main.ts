/** `npm run fuzz -- [--target frames|backups] [--seconds N] [--seed N]`: by hand, for as long as one likes. */
import { parseArgs } from 'node:util'
import { backups } from './backups.ts'
import { frames } from './frames.ts'
import { fuzz } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
  },
})
const targets = [frames, await backups()]
const asked = targets.filter(({ name }) => values.target === undefined || name === values.target)
if (asked.length === 0)
  throw new Error(`no target ${values.target ?? ''}: there are ${targets.map(({ name }) => name).join(', ')}`)
for (const target of asked) {
  const before = process.cpuUsage()
  const tried = await fuzz(target, { seconds: Number(values.seconds), seed: Number(values.seed) })
  const { user, system } = process.cpuUsage(before)
  console.log(
    `${target.name}: ${tried} inputs in ${Math.round((user + system) / 1e6)} s of CPU, seed ${values.seed}: nothing found`,
  )
}
for (const target of targets) await target.close?.()
