/**
 * A job worker that kills itself (SIGKILL) at every boundary between two steps, once: after the step, before its progress
 * is recorded, and once it is. Which boundaries are behind it stands in a file. The region comes over IPC.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { startRealWorker, type RegionPlace } from './real-region.ts'

process.once('message', (message: { place: RegionPlace; diary: string }) => {
  const { place, diary } = message
  const behind = new Set(existsSync(diary) ? readFileSync(diary, 'utf8').split('\n') : [])
  void startRealWorker(place, {
    onStep: ({ job, step, recorded }) => {
      const boundary = `${job}/${step}/${recorded ? 'recorded' : 'done'}`
      if (behind.has(boundary)) return
      appendFileSync(diary, `${boundary}\n`)
      process.kill(process.pid, 'SIGKILL')
    },
  })
})
