/**
 * The client port (2223): what an application or a person asks of an HSM. TLS 1.3; the server shows the cluster
 * certificate that the customer's CA signed (before InitializeCluster: its device certificate).
 *
 * A login belongs to the connection it came on and ends with it, together with its session keys (data-plane §1.4).
 */
import { z } from 'zod'
import { cryptoOperations } from './client/crypto.ts'
import { generateOperations } from './client/generate.ts'
import { keyOperations } from './client/keys.ts'
import { multiPartOperations } from './client/multi-part.ts'
import { quorumOperations } from './client/quorum.ts'
import { mtlsOperations } from './client/mtls.ts'
import { sessionOperations } from './client/session.ts'
import { transferOperations } from './client/transfer.ts'
import { userOperations } from './client/users.ts'
import type { OperationTable } from './envelope.ts'
import { member } from './values.ts'

export const clientOperations = {
  ...sessionOperations,
  ...userOperations,
  ...quorumOperations,
  ...mtlsOperations,
  ...generateOperations,
  ...keyOperations,
  ...transferOperations,
  ...cryptoOperations,
  ...multiPartOperations,
} as const satisfies OperationTable

export type ClientOperations = typeof clientOperations

/** Events that the client port sends unasked. */
export const clientEvents = { members: z.object({ members: z.array(member) }) } as const
