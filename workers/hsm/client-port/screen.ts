/**
 * What is refused before parameters are compared with the operation's shape. That takes time and memory for each member
 * (12 s for a frame that is one map, measured), and anybody on the network may ask for it.
 */
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import { PARAMETER_LIMITS } from '../protocol/frame.ts'
import { admit, type ClientConnection, type Gate } from './session.ts'

/** Throws what refuses the request: whoever is not logged in, or what no operation takes. */
export function screen(gate: Gate, op: keyof ClientOperations, params: unknown, connection: ClientConnection): void {
  // What a user is refused is recorded, which is the handlers' part.
  if (!connection.context.caller) admit(op, gate, connection)
  requireBounded(params, PARAMETER_LIMITS.depth)
}

function requireBounded(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return
  if (depth === 0) throw new HsmError('InvalidRequest', 'the parameters are nested too deeply')
  const isArray = Array.isArray(value)
  const members: unknown[] = isArray ? value : Object.values(value)
  if (!isArray && members.length > PARAMETER_LIMITS.members) {
    throw new HsmError('InvalidRequest', `a map in the parameters has more than ${PARAMETER_LIMITS.members} members`)
  }
  for (const member of members) requireBounded(member, depth - 1)
}
