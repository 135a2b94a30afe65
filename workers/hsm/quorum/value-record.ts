/** A quorum value as records keep it. Fields may be added; none may change its meaning. */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { MAX_QUORUM_VALUE, type AdminService } from '../protocol/quorum.ts'
import type { VersionedRecord } from '../vault/record-store.ts'

const packr = new Packr({ useRecords: false })
const PREFIX = 'quorum-values/'
const quorumValueRecord = z.object({ value: z.number().int().min(1).max(MAX_QUORUM_VALUE) })

export const valuePath = (service: AdminService) => PREFIX + service
export const isQuorumValue = (path: string) => path.startsWith(PREFIX)
export const encodeValue = (value: number): Buffer => packr.pack({ value } satisfies z.infer<typeof quorumValueRecord>)

/** Approvals that the record asks for; 1, which is none, while there is no such record. */
export function requiredBy(record: Pick<VersionedRecord, 'value'> | undefined): number {
  return record?.value === undefined ? 1 : quorumValueRecord.parse(packr.unpack(record.value)).value
}
