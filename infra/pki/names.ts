/** Who is at the other end, by the URI in its certificate; nothing else in it is looked at. */
import type { TLSSocket } from 'node:tls'

/** What a region calls itself to other regions. */
export const regionControlName = (region: string) => `region:${region}`
/** What a command calls itself to an HSM, run by who stands before the machine. */
export const OPERATOR = 'operator'

/** The URI of the peer's certificate; undefined when it has none, or names besides it. */
export function peerUri(socket: TLSSocket): string | undefined {
  // A name that could be mistaken for two is quoted by Node, and no name of ours needs that.
  return /^URI:(urn:strongroom:[a-zA-Z0-9:._-]+)$/.exec(socket.getPeerX509Certificate()?.subjectAltName ?? '')?.[1]
}
