/** What is asked of a backup before it is used: that its bytes are still those that were stored. */
import type { Backup } from '../../state/backups.ts'
import type { Ports } from './ports.ts'
import { Hopeless } from './transition.ts'

/** Reads all bytes of a backup and compares size and digest. Throws Hopeless: what is missing or damaged stays so. */
export async function requireIntact(
  { id, size, digest }: Pick<Backup, 'id' | 'size' | 'digest'>,
  { backups }: Pick<Ports, 'backups'>,
): Promise<void> {
  const stored = await backups.verify(id)
  if (!stored) throw new Hopeless(`The content of ${id} is missing.`)
  if (stored.digest !== digest || stored.size !== size) throw new Hopeless(`The content of ${id} is damaged.`)
}
