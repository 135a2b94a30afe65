/** `strongroom down`: ends everything of a data directory. */
import { stat } from 'node:fs/promises'
import { dataDirectory } from '../configuration/load.ts'
import { stopInstance } from '../launcher/stop-instance.ts'
import { Trouble } from '../trouble.ts'

export async function down(flags: { readonly data?: string }): Promise<void> {
  const data = dataDirectory(flags.data)
  const found = await stat(data).catch(() => undefined)
  if (found?.isDirectory() === false) throw new Trouble(`${data} is a file, not a data directory.`)
  const { launcher, regions, hsms, postgres } = await stopInstance(data)
  const leftovers = [
    regions > 0 ? `${regions} region${regions === 1 ? '' : 's'}` : '',
    hsms > 0 ? `${hsms} HSM${hsms === 1 ? '' : 's'}` : '',
    postgres ? 'PostgreSQL' : '',
  ].filter((each) => each !== '')
  if (launcher) process.stdout.write(`Stopped: ${data}\n`)
  if (leftovers.length > 0) process.stdout.write(`Stopped what its launcher had left: ${leftovers.join(', ')}\n`)
  if (!launcher && leftovers.length === 0) process.stdout.write(`Nothing runs on ${data}.\n`)
}
