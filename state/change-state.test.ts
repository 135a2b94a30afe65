import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  BACKUP_TRANSITIONS,
  CLUSTER_TRANSITIONS,
  COPY_TRANSITIONS,
  HSM_TRANSITIONS,
  TRANSITIONAL_STATES,
} from '../provider-schema/states.ts'
import { bench, insertCluster, insertCopy, insertHsm, type Bench } from '../workers/jobs/testing/fixtures.ts'
import { insertBackup } from '../workers/jobs/testing/ready-backup.ts'
import { changeState, findRow, type Kind, type RowOf, type StateOf } from './change-state.ts'

const TABLES = { cluster: 'clusters', hsm: 'hsms', backup: 'backups', copy: 'copies' } as const satisfies Record<
  Kind,
  string
>

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

describe('a cluster', () => {
  machine('cluster', CLUSTER_TRANSITIONS, () => insertCluster(b))
})
describe('an HSM', () => {
  machine('hsm', HSM_TRANSITIONS, async () => insertHsm(b, await insertCluster(b)))
})
describe('a backup', () => {
  machine('backup', BACKUP_TRANSITIONS, async () => insertBackup(b, await insertCluster(b)))
})
describe('a copy', () => {
  machine('copy', COPY_TRANSITIONS, async () => insertCopy(b, (await insertBackup(b, await insertCluster(b))).id))
})

function machine<K extends Kind>(
  kind: K,
  transitions: { readonly [From in StateOf[K]]: readonly StateOf[K][] },
  insert: () => Promise<{ readonly id: RowOf[K]['id'] }>,
): void {
  const states = Object.keys(transitions) as StateOf[K][]

  /** A row in a state, in the midst of something. */
  const rowIn = async (state: StateOf[K]) => {
    const { id } = await insert()
    const query = `update ${TABLES[kind]} set state = $2, step = 'midway', step_error = 'not yet' where id = $1`
    await b.database.pool.query(query, [id, state])
    return id
  }

  for (const from of states) {
    test(`in ${from} may not go where no transition leads; nothing of it is changed then`, async () => {
      const id = await rowIn(from)
      const row = await findRow(b.database.sql, kind, id)
      for (const to of states.filter((each) => !transitions[from].includes(each))) {
        const change = { from, to, message: 'It went on.' }
        await assert.rejects(changeState(b.database.sql, kind, id, change), {
          message: `a ${kind} may not go from ${from} to ${to}`,
        })
        assert.deepEqual(await findRow(b.database.sql, kind, id), row)
      }
    })

    for (const to of transitions[from]) {
      test(`goes from ${from} to ${to} once, and begins there anew`, async () => {
        const id = await rowIn(from)
        const row = await changeState(b.database.sql, kind, id, { from, to })
        assert.deepEqual([row?.state, row?.step, row?.stepError, row?.notBefore], [to, null, null, null])
        const transitional: readonly string[] = TRANSITIONAL_STATES[kind]
        assert.equal(row?.deadline instanceof Date, transitional.includes(to))
        assert.equal(await changeState(b.database.sql, kind, id, { from, to }), undefined)
        assert.deepEqual(await findRow(b.database.sql, kind, id), row)
      })
    }
  }
}
