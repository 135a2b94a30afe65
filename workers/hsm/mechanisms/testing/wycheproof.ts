/** Project Wycheproof's vectors: where they are, their shape, and what a run of a file counts. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { HsmError, type HsmErrorCode } from '../../protocol/errors.ts'

const BESIDE_THE_PROJECT = fileURLToPath(new URL('../../../../../shared/vectors/wycheproof', import.meta.url))

/** The directory of the vectors; nothing when there is none. */
export function wycheproofDirectory(): string | undefined {
  const directory = process.env['STRONGROOM_WYCHEPROOF'] ?? BESIDE_THE_PROJECT
  return existsSync(directory) ? directory : undefined
}

const hex = z.string().transform((text) => Buffer.from(text, 'hex'))
const RESULTS = ['valid', 'invalid', 'acceptable'] as const

const vectorShape = z.object({
  tcId: z.number(),
  comment: z.string(),
  flags: z.array(z.string()),
  result: z.enum(RESULTS),
  key: hex.optional(),
  iv: hex.optional(),
  aad: hex.optional(),
  msg: hex.optional(),
  ct: hex.optional(),
  tag: hex.optional(),
  sig: hex.optional(),
  label: hex.optional(),
  ctx: hex.optional(),
  mu: hex.optional(),
  public: hex.optional(),
  private: hex.optional(),
  shared: hex.optional(),
})
export type Vector = z.output<typeof vectorShape>

const groupShape = z.object({
  tests: z.array(vectorShape),
  curve: z.string().optional(),
  tagSize: z.number().optional(),
  sLen: z.number().optional(),
  publicKeyDer: hex.optional(),
  privateKeyPkcs8: hex.optional(),
  privateSeed: hex.optional(),
})
export type Group = z.output<typeof groupShape>

export function readVectors(directory: string, file: string): Group[] {
  const text = readFileSync(join(directory, file), 'utf8')
  return z.object({ testGroups: z.array(groupShape) }).parse(JSON.parse(text)).testGroups
}

/** What becomes of a vector; `skipped` with why it does not apply to this HSM. */
export type Outcome = 'accepted' | 'refused' | { readonly skipped: string }

/** What an HSM refuses bad data with. Any other error is a failure of the test. */
const REFUSALS: readonly HsmErrorCode[] = ['InvalidRequest', 'MechanismInvalid', 'DecryptionFailed', 'LimitExceeded']

/** `refused` when the HSM refuses. Throws what is no refusal. */
export async function outcomeOf(work: () => Promise<Outcome | boolean>): Promise<Outcome> {
  try {
    const outcome = await work()
    if (typeof outcome === 'boolean') return outcome ? 'accepted' : 'refused'
    return outcome
  } catch (error) {
    if (error instanceof HsmError && REFUSALS.includes(error.code)) return 'refused'
    throw error
  }
}

export interface Ran {
  readonly vector: Vector
  readonly outcome: Outcome
}

/** Runs all vectors, 64 at a time. */
export async function runVectors(
  groups: readonly Group[],
  run: (vector: Vector, group: Group) => Promise<Outcome | boolean>,
): Promise<Ran[]> {
  const waiting = groups.flatMap((group) => group.tests.map((vector) => ({ vector, group })))
  const ran: Ran[] = []
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { vector, group } = next
      try {
        ran.push({ vector, outcome: await outcomeOf(() => run(vector, group)) })
      } catch (cause) {
        throw new Error(`vector ${vector.tcId} (${vector.comment})`, { cause })
      }
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  return ran
}
