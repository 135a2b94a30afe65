/**
 * Where audit logs are delivered to, in CloudWatch's naming: the group `/aws/cloudhsm/<cluster id>` and in it a stream
 * for each HSM are directories below the region's `logs`; a stream's files are the HSM's own, byte for byte.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { auditFilesIn } from '../../audit-log/files.ts'
import { auditFileName } from '../../provider-schema/audit-file.ts'

const GROUPS = ['aws', 'cloudhsm'] as const

export interface AuditStream {
  readonly clusterId: string
  readonly hsmId: string
  readonly directory: string
}

/** `logs` is the directory of a region's logs. */
export function streamOf(logs: string, clusterId: string, hsmId: string): AuditStream {
  return { clusterId, hsmId, directory: join(logs, ...GROUPS, clusterId, hsmId) }
}

/** Every stream below a region's logs, by cluster and HSM. */
export async function streamsIn(logs: string): Promise<AuditStream[]> {
  const clusters = await names(join(logs, ...GROUPS))
  const streams = await Promise.all(
    clusters.map(async (clusterId) =>
      (await names(join(logs, ...GROUPS, clusterId))).map((hsmId) => streamOf(logs, clusterId, hsmId)),
    ),
  )
  return streams.flat()
}

/** Paths of the files of a directory of audit files, oldest first. */
export async function filePathsOf(directory: string): Promise<string[]> {
  return (await auditFilesIn(directory)).map((file) => join(directory, auditFileName(file)))
}

async function names(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).sort()
}
