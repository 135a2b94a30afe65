/** Addresses for new HSMs: those of the host that would get one, where it says which it has; else this machine's own. */
import { drizzle } from 'drizzle-orm/node-postgres'
import type { AddressPort } from '../../api/ports.ts'
import * as schema from '../../migrations/schema.ts'
import type { Database } from '../../state/database.ts'
import { hostsIn } from '../../state/hosts.ts'

/**
 * What is chosen is shown at once; where the HSM is placed in the end, its job finds out, and chooses anew if it must.
 * Asks on connections apart: the caller is in a transaction, and many of them must not wait for one another's second one.
 */
export function zoneAddresses({ hot }: Pick<Database, 'hot'>, own: AddressPort): AddressPort {
  const hosts = hostsIn(drizzle(hot, { schema }))
  return {
    choose: async (taken, requested, zone) => {
      const offered = zone === undefined ? null : (await hosts.leastLoaded(zone))?.addresses
      if (!offered) return own.choose(taken, requested)
      const listenIp = offered.find((each) => each === requested) ?? offered.find((each) => !taken.has(each))
      // The job waits for one to become free, and says so.
      if (listenIp === undefined) return own.choose(taken, requested)
      if (requested === undefined || requested === listenIp) return { eniIp: listenIp, listenIp }
      return {
        eniIp: requested,
        listenIp,
        note: `No machine of ${zone ?? ''} can bind ${requested}: the HSM listens on ${listenIp}.`,
      }
    },
  }
}
