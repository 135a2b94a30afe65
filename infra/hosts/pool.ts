/** Addresses that a host may give to HSMs, as an operator writes them down, and which of them are free now. */
import { isIPv4 } from 'node:net'
import { Trouble } from '../trouble.ts'
import { bindable } from './addresses.ts'

const MOST = 1_024
/** So many are told to the region at once. */
const MOST_OFFERED = 128

/**
 * The addresses of `10.0.3.10-10.0.3.60,10.0.4.0/24,10.0.5.7`: of a network all but its first and its last. Throws a
 * Trouble that names the part at fault.
 */
export function addressesIn(text: string): string[] {
  const all = new Set<number>()
  for (const part of text.split(',').map((each) => each.trim())) {
    const [first, last] = boundsOf(part)
    if (last < first || last - first >= MOST) throw notAddresses(part, `There are at most ${MOST} in one part.`)
    for (let each = first; each <= last; each += 1) all.add(each)
  }
  if (all.size > MOST) throw notAddresses(text, `There are at most ${MOST} in all.`)
  return [...all].map(textOf)
}

function boundsOf(part: string): readonly [number, number] {
  const [base = '', bits] = part.split('/')
  const [first = '', last = first] = base.split('-')
  if (!isIPv4(first) || !isIPv4(last)) throw notAddresses(part)
  if (bits === undefined) return [numberOf(first), numberOf(last)]
  if (!/^\d{1,2}$/.test(bits) || Number(bits) < 22 || Number(bits) > 30 || base !== first) throw notAddresses(part)
  const size = 2 ** (32 - Number(bits))
  const network = numberOf(first) - (numberOf(first) % size)
  return [network + 1, network + size - 2]
}

/** Those that an HSM could listen on now, not too many. */
export async function freeOf(addresses: readonly string[]): Promise<string[]> {
  const free: string[] = []
  for (const each of addresses) {
    if (free.length >= MOST_OFFERED) break
    if ((await bindable(each)) === 'free') free.push(each)
  }
  return free
}

const numberOf = (address: string) => address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)
const textOf = (number: number) => [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')

const notAddresses = (part: string, why = 'Write 10.0.3.10-10.0.3.60, 10.0.4.0/24 or 10.0.5.7, by commas.') =>
  new Trouble(`${part} does not name addresses.`, { mend: why })
