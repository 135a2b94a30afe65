/** IPv6 addresses of HSMs in DUALSTACK clusters: shown as AWS shows them; nothing listens there. */
import { createHash, randomBytes } from 'node:crypto'
import type { SubnetId, VpcId } from '../../provider-schema/ids.ts'

/**
 * A unique local address (RFC 4193): `fd`, 40 bits for the VPC, 16 for the subnet, 64 random ones, so that HSMs of a
 * subnet share a /64 as they would in a real one.
 */
export function newIpV6(vpc: VpcId, subnet: SubnetId): string {
  const part = (text: string, bytes: number) => createHash('sha256').update(text).digest().subarray(0, bytes)
  const address = Buffer.concat([Buffer.from([0xfd]), part(vpc, 5), part(subnet, 2), randomBytes(8)])
  const groups = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(2 * i).toString(16))
  return groups.join(':')
}
