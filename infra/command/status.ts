/** `strongroom status`: a table of what runs. Exit code 3 when it is not ready (as of `systemctl status`). */
import { dataDirectory } from '../configuration/load.ts'
import type { StatusFlags } from './flags.ts'
import { observe } from './observe.ts'
import { processTable } from './process-table.ts'

const NOT_READY = 3

export async function status(flags: StatusFlags): Promise<void> {
  const seen = await observe(dataDirectory(flags.data))
  if (!seen.ready) process.exitCode = NOT_READY
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(seen, null, 2)}\n`)
    return
  }
  const how = seen.url === undefined ? 'is not running' : seen.ready ? `is ready at ${seen.url}` : 'is not ready'
  process.stdout.write(`Strongroom on ${seen.data} ${how}.\n`)
  if (seen.processes.length === 0) return
  process.stdout.write(`\n${processTable('NAME', seen.processes)}`)
}
