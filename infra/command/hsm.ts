/** `strongroom hsm …`: what an operator who stands before the machine can do with its HSMs, the control plane unasked. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ID_PATTERNS } from '../../provider-schema/ids.ts'
import type { HsmId } from '../../provider-schema/ids.ts'
import { HSM_FILES, hsmConfig } from '../../provider-schema/hsm-directory.ts'
import { dataDirectory } from '../configuration/load.ts'
import { endProcess, findProcess } from '../hosts/hsm-process.ts'
import { hsmPort } from '../management.ts'
import { PLACES } from '../places.ts'
import { issueControl } from '../pki/control.ts'
import { openFleet } from '../pki/fleet.ts'
import { OPERATOR } from '../pki/names.ts'
import { regionPlaces } from '../region/places.ts'
import { textOf, Trouble } from '../trouble.ts'
import type { DataFlag, HsmListFlags } from './flags.ts'
import { observeHsms } from './observe.ts'
import { processTable } from './process-table.ts'

/** How long a process may take to end that was zeroised; longer than it gives itself. */
const END_MS = 2_000

export async function listHsms(flags: HsmListFlags): Promise<void> {
  const hsms = await observeHsms(dataDirectory(flags.data))
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(hsms, null, 2)}\n`)
    return
  }
  process.stdout.write(processTable('HSM', hsms))
}

/** Returns when the keys are gone, also from memory: the process has ended. Throws a Trouble when there is no such HSM here, or it does not answer. */
export async function tamper(id: string, flags: DataFlag): Promise<void> {
  const data = dataDirectory(flags.data)
  const hsm = isHsmId(id) ? (await observeHsms(data)).find(({ name }) => name === id) : undefined
  if (!hsm || !isHsmId(id)) {
    throw new Trouble(`There is no HSM ${id} in ${data}.`, {
      mend: '"strongroom hsm list" shows those that are there.',
    })
  }
  const directory = join(regionPlaces(data, hsm.region ?? '').hsms, id)
  const config = hsmConfig.parse(JSON.parse(await readFile(join(directory, HSM_FILES.config), 'utf8')))
  const fleet = await openFleet(join(data, PLACES.fleet))
  const pid = await findProcess(directory)
  const port = hsmPort(await issueControl(fleet, OPERATOR), fleet)
  try {
    const connection = await port.connect({ id, listenIp: config.address })
    try {
      await connection.call('zeroise', {})
    } finally {
      await connection.close()
    }
  } catch (error) {
    throw new Trouble(`${id} did not confirm that its keys are destroyed: ${textOf(error)}`, {
      mend: 'Its process must run: "strongroom hsm list" shows whether it does.',
      cause: error,
    })
  }
  // Its memory still holds them: it ends by itself, in half a second at most.
  if (pid !== undefined) await endProcess(pid, directory, END_MS)
  process.stdout.write(`The keys of ${id} are destroyed. The service shows it DEGRADED and replaces it.\n`)
}

const isHsmId = (text: string): text is HsmId => ID_PATTERNS.hsm.test(text)
