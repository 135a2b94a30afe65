/** Why an HSM cannot start from what is in its directory, left there for the host, which tells the service. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import { DeviceCertificateWrong } from './identity/device.ts'
import { writeWhole } from './identity/files.ts'
import { VaultDamaged } from './vault/seal.ts'

/** Opens what is in a directory. What does not get better by trying again is left as a text; what may, as a full disk, is not. */
export async function leavingWhy<Opened>(directory: string, open: () => Promise<Opened>): Promise<Opened> {
  const refused = join(directory, HSM_FILES.refused)
  try {
    const opened = await open()
    await rm(refused, { force: true })
    return opened
  } catch (error) {
    if (error instanceof VaultDamaged || error instanceof DeviceCertificateWrong) {
      // A disk that takes nothing more must not hide why.
      await writeWhole(refused, error.message).catch(() => undefined)
    }
    throw error
  }
}
