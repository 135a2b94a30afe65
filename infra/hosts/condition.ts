/** How an HSM is, from what is in its directory. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import type { HsmCondition } from '../../workers/jobs/ports.ts'
import { exists } from '../files/exists.ts'
import { findProcess } from './hsm-process.ts'
import { inShort, troubleOf } from './last-trouble.ts'
import { wasZeroised } from './zeroised.ts'

interface Found {
  readonly condition: HsmCondition
  /** All that the HSM left of why it can never start from its directory. */
  readonly refused?: string
}

export async function conditionOf(directory: string): Promise<Found> {
  if (!(await exists(directory))) {
    return { condition: { kind: 'lost', why: 'The directory of the HSM is gone from its host.' } }
  }
  if (await wasZeroised(directory)) {
    return { condition: { kind: 'zeroised', why: 'The tamper response of the HSM has destroyed its keys.' } }
  }
  if ((await findProcess(directory)) !== undefined) return { condition: { kind: 'running' } }
  const refused = await readFile(join(directory, HSM_FILES.refused), 'utf8').catch(() => undefined)
  if (refused !== undefined) {
    const why = `The HSM cannot start: ${inShort(refused, directory)}; its log says more.`
    return { condition: { kind: 'lost', why }, refused }
  }
  const trouble = await troubleOf(directory)
  const why = trouble !== undefined && { why: `It cannot start: ${inShort(trouble, directory)}.` }
  return { condition: { kind: 'running', ...why } }
}
