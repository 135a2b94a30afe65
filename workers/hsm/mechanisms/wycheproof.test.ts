/**
 * Project Wycheproof's vectors against an HSM process over TLS: no `valid` refused, no `invalid` accepted, every
 * `acceptable` as `testing/vector-files.ts` decides with its reason. The vectors lie in the folder that
 * STRONGROOM_WYCHEPROOF names.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Connection } from '../protocol/connection.ts'
import { startCluster, type TestCluster } from '../testing/process.ts'
import { VECTOR_FILES, type VectorFile } from './testing/vector-files.ts'
import { VectorHsm } from './testing/vector-runs.ts'
import { readVectors, runVectors, wycheproofDirectory, type Ran } from './testing/wycheproof.ts'

const directory = wycheproofDirectory()
const skip =
  directory === undefined && 'the Wycheproof vectors are not here: name their folder in STRONGROOM_WYCHEPROOF'

let cluster: TestCluster
let connection: Connection<ClientOperations>

before(async () => {
  if (skip) return
  cluster = await startCluster({ mode: 'NON_FIPS' })
  connection = await cluster.first.client(cluster.customer.certificate)
  await connection.call('activate', { password: 'admin-secret-1' })
  await connection.call('login', { username: 'admin', role: 'admin', password: 'admin-secret-1' })
  await connection.call('user-create', { username: 'prover', role: 'crypto-user', password: 'prover-secret-1' })
  await connection.call('logout', {})
  await connection.call('login', { username: 'prover', role: 'crypto-user', password: 'prover-secret-1' })
})
after(async () => {
  if (skip) return
  await connection.close()
  await cluster.first.dispose()
})

test('every file of vectors is run', { skip }, () => {
  assert.deepEqual(Object.keys(VECTOR_FILES), readdirSync(directory ?? '').sort())
})

for (const [file, plan] of Object.entries<VectorFile>(VECTOR_FILES)) {
  test(file, { skip }, async (t) => {
    const hsm = new VectorHsm(connection)
    const outcomes = await runVectors(readVectors(directory ?? '', file), (vector, group) =>
      plan.run(hsm, vector, group),
    )
    const ran = outcomes.map((one) => withPolicy(one, plan))
    await hsm.clear()
    assert.equal(ran.length, plan.count)
    assert.deepEqual(
      ran.flatMap((one) => wrong(one, plan)),
      [],
    )
    assert.deepEqual(skippedByReason(ran), plan.skipped ?? {})
    t.diagnostic(summary(ran))
  })
}

/** A vector outside the policy does not apply, but it was refused. */
function withPolicy({ vector, outcome }: Ran, { outside = {} }: VectorFile): Ran {
  const [reason] = vector.flags.flatMap((flag) => outside[flag] ?? [])
  if (reason === undefined || typeof outcome === 'object') return { vector, outcome }
  assert.equal(outcome, 'refused', `vector ${vector.tcId} is outside: ${reason}`)
  return { vector, outcome: { skipped: reason } }
}

/** What is wrong with an outcome, in words. */
function wrong({ vector, outcome }: Ran, { acceptable = {} }: VectorFile): string[] {
  if (typeof outcome === 'object') return []
  const is = `${vector.tcId} (${vector.result}: ${vector.comment}; ${vector.flags.join(', ')}) is ${outcome}`
  if (vector.result === 'valid') return outcome === 'accepted' ? [] : [is]
  if (vector.result === 'invalid') return outcome === 'refused' ? [] : [is]
  const decisions = vector.flags.flatMap((flag) => acceptable[flag] ?? [])
  return decisions.length === 1 && decisions[0]?.outcome === outcome ? [] : [`${is}, decided otherwise or not at all`]
}

function skippedByReason(ran: readonly Ran[]): Record<string, number> {
  const reasons: Record<string, number> = {}
  for (const { outcome } of ran) {
    if (typeof outcome === 'object') reasons[outcome.skipped] = (reasons[outcome.skipped] ?? 0) + 1
  }
  return reasons
}

function summary(ran: readonly Ran[]): string {
  const count = (result: string, outcome: string) =>
    ran.filter((one) => one.vector.result === result && one.outcome === outcome).length
  const skipped = ran.filter(({ outcome }) => typeof outcome === 'object').length
  return (
    `${count('valid', 'accepted')} valid accepted, ${count('invalid', 'refused')} invalid refused, ` +
    `${count('acceptable', 'accepted')} acceptable accepted and ${count('acceptable', 'refused')} refused, ` +
    `${skipped} not applicable`
  )
}
