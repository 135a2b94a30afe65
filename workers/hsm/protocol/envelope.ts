/**
 * The three shapes of message: a request carries an id of its sender's choice, a reply repeats it, an event has none.
 * Requests may be pipelined; replies come in any order.
 */
import { z } from 'zod'
import { HSM_ERROR_CODES } from './errors.ts'

export const requestEnvelope = z.object({
  id: z.number().int().min(0).max(0xffffffff),
  op: z.string().max(64),
  params: z.record(z.string(), z.unknown()).default({}),
})
export type RequestEnvelope = z.infer<typeof requestEnvelope>

export const replyEnvelope = z.union([
  z.object({ id: z.number().int(), ok: z.unknown() }),
  z.object({ id: z.number().int(), error: z.object({ code: z.enum(HSM_ERROR_CODES), message: z.string() }) }),
])
export type ReplyEnvelope = z.infer<typeof replyEnvelope>

export const eventEnvelope = z.object({ event: z.string().max(64), data: z.unknown() })
export type EventEnvelope = z.infer<typeof eventEnvelope>

/** One operation of a port: the shapes that go in and come out. */
export interface OperationSpec<Params extends z.ZodType = z.ZodType, Result extends z.ZodType = z.ZodType> {
  readonly params: Params
  readonly result: Result
}
export type OperationTable = Readonly<Record<string, OperationSpec>>
export type ParamsOf<Table extends OperationTable, Op extends keyof Table> = z.input<Table[Op]['params']>
export type ParsedParamsOf<Table extends OperationTable, Op extends keyof Table> = z.output<Table[Op]['params']>
export type ResultOf<Table extends OperationTable, Op extends keyof Table> = z.output<Table[Op]['result']>
