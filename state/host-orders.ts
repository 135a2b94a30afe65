/**
 * What hosts are to do: rows that the region writes and the host carries out. The host's part (`orderedOf`, `report`)
 * needs no more than its own rows: it can be done as a database role that sees nothing else.
 */
import { and, eq, sql } from 'drizzle-orm'
import { hostOrders } from '../migrations/schema.ts'
import type { OrderedHsm } from '../provider-schema/host-order.ts'
import type { HsmId } from '../provider-schema/ids.ts'
import type { Sql } from './database.ts'

export type HostOrder = typeof hostOrders.$inferSelect
export type HostReport = Partial<
  Pick<HostOrder, 'deviceRequest' | 'listens' | 'condition' | 'why' | 'trouble' | 'done'>
>

interface Where {
  readonly hostId: string
  readonly hsmId: HsmId
}

const at = ({ hostId, hsmId }: Where) => and(eq(hostOrders.hostId, hostId), eq(hostOrders.hsmId, hsmId))

/** Wants an HSM to run; what it wanted of it before stays as it is. Gives the order, which may be one to remove it. */
export async function orderToRun(db: Sql, where: Where, config: OrderedHsm): Promise<HostOrder> {
  await db
    .insert(hostOrders)
    .values({ ...where, wanted: 'running', config })
    .onConflictDoNothing()
  const order = await findOrder(db, where)
  if (!order) throw new Error(`the order for ${where.hsmId} is gone`)
  return order
}

/** Wants nothing of an HSM to be left, once; whatever was wanted before. */
export async function orderToGo(db: Sql, where: Where, wanted: 'gone' | 'aside'): Promise<void> {
  const isToGo = sql`${hostOrders.wanted} <> 'running'`
  const keep = (column: typeof hostOrders.wanted | typeof hostOrders.done, now: unknown) =>
    sql`case when ${isToGo} then ${column} else ${now} end`
  await db
    .insert(hostOrders)
    .values({ ...where, wanted })
    .onConflictDoUpdate({
      target: [hostOrders.hostId, hostOrders.hsmId],
      set: { wanted: keep(hostOrders.wanted, wanted), done: keep(hostOrders.done, false) },
    })
}

/** Certificates for the device key, once: who comes later has those that are there. */
export async function certifyOrder(
  db: Sql,
  where: Where,
  chains: { readonly deviceChain: string; readonly providerChain: string },
): Promise<void> {
  const { deviceChain, providerChain } = chains
  await db
    .update(hostOrders)
    .set({ deviceChain, providerChain })
    .where(and(at(where), sql`${hostOrders.deviceChain} is null`))
}

export async function findOrder(db: Sql, where: Where): Promise<HostOrder | undefined> {
  const [order] = await db.select().from(hostOrders).where(at(where))
  return order
}

/** An HSM that is gone from its host is spoken of no more. */
export async function forgetOrder(db: Sql, where: Where): Promise<void> {
  await db.delete(hostOrders).where(and(at(where), eq(hostOrders.done, true)))
}

/** Forgets every HSM that is gone from its host: nobody waited for those of a host that was silent. */
export async function forgetDone(db: Sql): Promise<void> {
  await db.delete(hostOrders).where(eq(hostOrders.done, true))
}

/** All that a host is to do. */
export const orderedOf = (db: Sql, hostId: string): Promise<HostOrder[]> =>
  db.select().from(hostOrders).where(eq(hostOrders.hostId, hostId)).orderBy(hostOrders.hsmId)

/** What the host found. */
export async function report(db: Sql, where: Where, found: HostReport): Promise<void> {
  await db.update(hostOrders).set(found).where(at(where))
}
