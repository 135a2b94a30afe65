/**
 * A job worker in a process of its own whose steps never end: to be killed while it holds a job.
 * The database's URL comes over IPC; it says `working` once a step has begun.
 */
import { pino } from 'pino'
import { openDatabase } from '../../../state/database.ts'
import { startJobWorker } from '../worker.ts'
import { simulatedWorld } from './simulated-world.ts'

process.once('message', (message: { url: string; name: string; pace?: number }) => {
  const { ports } = simulatedWorld()
  startJobWorker({
    name: message.name,
    database: openDatabase({ url: message.url }),
    databaseUrl: message.url,
    log: pino({ level: 'silent' }),
    ...(message.pace !== undefined && { pace: message.pace }),
    ports: {
      ...ports,
      hosts: {
        on: (hostId) => ({
          ...ports.hosts.on(hostId),
          ensureRunning: () => {
            process.send?.('working')
            return new Promise(() => undefined)
          },
        }),
      },
    },
  })
})
