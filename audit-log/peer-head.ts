/** How an event says how far the log of another HSM of the cluster is. */
import type { AuditHead } from '../provider-schema/audit-file.ts'

const LINES = /\nPeer HSM : (\S+)\nPeer Events : (\d+)\nPeer Head : ([0-9a-f]{64})$/

/** The lines of an event's text. */
export const headLines = ({ hsmId, events, hash }: AuditHead & { readonly hsmId: string }) => [
  `Peer HSM : ${hsmId}`,
  `Peer Events : ${events}`,
  `Peer Head : ${hash}`,
]

/** What an event's text says of another HSM's log, if it is about one. */
export function headIn(message: string): (AuditHead & { readonly hsmId: string }) | undefined {
  const [, hsmId, events, hash] = LINES.exec(message) ?? []
  return hsmId === undefined || hash === undefined ? undefined : { hsmId, events: Number(events), hash }
}
