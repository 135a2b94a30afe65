/** IPv4 addresses as an API sees them: as text. */
import { BlockList, isIPv4 } from 'node:net'

/** Nobody's own address: "this network", multicast, reserved and broadcast (RFC 6890). */
const NOBODYS = new BlockList()
NOBODYS.addSubnet('0.0.0.0', 8)
NOBODYS.addSubnet('224.0.0.0', 3)

/** Whether it is a well-formed address that one machine can have. */
export function isUnicast(address: string): boolean {
  return isIPv4(address) && !NOBODYS.check(address)
}

/** Whether an address lies in a prefix, e.g. `10.0.1.0/24`. */
export function isWithin(address: string, cidr: string): boolean {
  const [network = '', bits = ''] = cidr.split('/')
  const prefix = new BlockList()
  prefix.addSubnet(network, Number(bits))
  return prefix.check(address)
}
