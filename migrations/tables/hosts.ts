/** The machines that run HSMs, and what each is to do. */
import { sql } from 'drizzle-orm'
import { boolean, check, integer, jsonb, pgPolicy, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import type { OrderedHsm } from '../../provider-schema/host-order.ts'
import type { HsmId } from '../../provider-schema/ids.ts'
import { idText, instant } from './columns.ts'

/**
 * A host that connects as a database role of its own name sees and changes its own rows only. Who owns the tables, as the
 * region does, is not bound by it.
 */
const ofHost = (column: string) => {
  const isOwn = sql.raw(`"${column}" = current_user`)
  return { for: 'all', to: 'public', using: isOwn, withCheck: isOwn } as const
}

/** Machines that run HSM processes. */
export const hosts = pgTable(
  'hosts',
  {
    id: text('id').primaryKey(),
    /** Availability zones it serves; a machine that plays a whole region serves all of them. */
    zones: jsonb('zones').$type<string[]>().notNull(),
    /** HSMs it may run. */
    capacity: integer('capacity').notNull(),
    /** Some of the addresses that it could bind when it last looked; null when it says nothing of them. */
    addresses: jsonb('addresses').$type<string[]>(),
    heartbeatAt: instant('heartbeat_at').notNull(),
  },
  () => [pgPolicy('hosts_own', ofHost('id'))],
)

/**
 * What hosts are to do, and how far they are: the queue of each host, apart from the one of the jobs. The region writes
 * what it wants, and the device certificates; the host what it found. A row stays until the HSM is gone from the host.
 */
export const hostOrders = pgTable(
  'host_orders',
  {
    hostId: text('host_id').notNull(),
    hsmId: idText('hsm_id').$type<HsmId>().notNull(),
    wanted: text('wanted').$type<'running' | 'gone' | 'aside'>().notNull(),
    /** What the host must know to start it. Null of one that is only to be removed. */
    config: jsonb('config').$type<OrderedHsm>(),
    /** Certificates for the device key, PEM: by the manufacturer CA, and by the provider CA; each with the CA's. */
    deviceChain: text('device_chain'),
    providerChain: text('provider_chain'),
    /** From here on what the host says. The request for those certificates, PEM. */
    deviceRequest: text('device_request'),
    /** Whether the process serves its ports. */
    listens: boolean('listens').notNull().default(false),
    condition: text('condition').$type<'running' | 'lost' | 'zeroised'>(),
    why: text('why'),
    /** What kept the host from doing it in its last attempt. */
    trouble: text('trouble'),
    /** Of one that is to go: nothing of it is there any more. */
    done: boolean('done').notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.hostId, table.hsmId] }),
    check('host_orders_wanted', sql`${table.wanted} in ('running', 'gone', 'aside')`),
    pgPolicy('host_orders_own', ofHost('host_id')),
  ],
)
