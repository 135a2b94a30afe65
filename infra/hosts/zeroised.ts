import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import { codeOf } from '../trouble.ts'

/** Whether the HSM of a directory destroyed its keys. Throws where that cannot be told. */
export async function wasZeroised(directory: string): Promise<boolean> {
  try {
    await stat(join(directory, HSM_FILES.zeroised))
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
