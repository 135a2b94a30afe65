/** What the parts of the simulated world have in common. */
import { createHash } from 'node:crypto'

export const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A synchronous body as a promise: what it throws rejects. */
export async function attempt<Result>(body: () => Result): Promise<Result> {
  await Promise.resolve()
  return body()
}
