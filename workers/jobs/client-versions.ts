/**
 * Which client software stands in the way of a change of the HSM type. AWS asks that all clients of the last seven days
 * were of SDK 5.9 or later (data-plane reference §8); here the versions are those of our own clients, and of what an
 * operator names.
 */

/** The oldest version that may have been logged in, by the name that a client calls itself. */
export type OldestClients = Readonly<Record<string, string>>

/** The first that know of limited-write mode, and that a client may find another HSM behind an address. */
export const OLDEST_CLIENTS: OldestClients = {
  'strongroom-sdk': '0.1.0',
  'cloudhsm-cli': '0.1.0',
}

/** AWS's. */
const DAYS = 7

interface SeenClient {
  readonly client: string
  /** Epoch milliseconds. */
  readonly seenAt: number
}

/** Why the type cannot be changed because of these clients, fit for StateMessage; undefined when it can. */
export function clientsTooOld(seen: readonly SeenClient[], now: Date, oldest: OldestClients): string | undefined {
  const since = now.getTime() - DAYS * 86_400_000
  const old = new Set<string>()
  for (const { client, seenAt } of seen) {
    const [name = '', version] = client.split('/', 2)
    const needed = Object.hasOwn(oldest, name) ? oldest[name] : undefined
    if (seenAt <= since || needed === undefined || !isOlder(version, needed)) continue
    old.add(`${name} ${version ?? 'of no version'} (${needed} is needed)`)
  }
  if (old.size === 0) return undefined
  const [first = '', ...others] = [...old].toSorted()
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  return `Clients that are too old were connected in the last ${DAYS} days: ${first}${more}. Update them, and try again later.`
}

/** What says no version is older than any. Of a version its numbers count, not what follows them. */
function isOlder(version: string | undefined, than: string): boolean {
  const numbers = numbersOf(version ?? '')
  const needed = numbersOf(than)
  if (numbers.length === 0) return true
  for (const [place, least] of needed.entries()) {
    const number = numbers[place] ?? 0
    if (number !== least) return number < least
  }
  return false
}

const numbersOf = (version: string): number[] =>
  (/^\d+(\.\d+)*/.exec(version)?.[0] ?? '').split('.').flatMap((part) => (part === '' ? [] : [Number(part)]))
