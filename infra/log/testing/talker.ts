/** A process that logs to a file and to its standard error, for tests that take the latter away: `talker.ts FILE`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createLog } from '../log.ts'

const [, , file] = process.argv
if (file === undefined) throw new Error('talker.ts FILE')
const log = createLog({ name: 'talker', file, terminal: true })
for (let i = 1; i <= 3; i += 1) {
  await sleep(50)
  log.warn(`said ${i}`)
}
