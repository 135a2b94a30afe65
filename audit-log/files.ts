/** Finds the audit files of a directory. */
import { readdir } from 'node:fs/promises'
import { auditFileNumbers } from '../provider-schema/audit-file.ts'

/** Numbers of the audit files of a directory, ascending; none when it does not exist. */
export async function auditFilesIn(directory: string): Promise<number[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
  return auditFileNumbers(names)
}
