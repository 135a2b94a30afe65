import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  BACKUP_STATES,
  BACKUP_TRANSITIONS,
  CLUSTER_STATES,
  CLUSTER_TRANSITIONS,
  HSM_STATES,
  HSM_TRANSITIONS,
} from './states.ts'

/**
 * Control-plane reference §2.1 to §2.3, an arrow a line. `ours` are arrows that the reference has not: what a transition
 * that failed falls back to, and what stands for an HSM that another one replaces.
 */
const MACHINES = {
  cluster: {
    states: CLUSTER_STATES,
    transitions: CLUSTER_TRANSITIONS,
    reference: [
      'CREATE_IN_PROGRESS → UNINITIALIZED',
      'CREATE_IN_PROGRESS → ACTIVE',
      'UNINITIALIZED → INITIALIZE_IN_PROGRESS',
      'INITIALIZE_IN_PROGRESS → INITIALIZED',
      'INITIALIZED → ACTIVE',
      'ACTIVE → MODIFY_IN_PROGRESS',
      'MODIFY_IN_PROGRESS → ACTIVE',
      'MODIFY_IN_PROGRESS → ROLLBACK_IN_PROGRESS',
      'ACTIVE → ROLLBACK_IN_PROGRESS',
      'ROLLBACK_IN_PROGRESS → ACTIVE',
      'ACTIVE → UPDATE_IN_PROGRESS',
      'UPDATE_IN_PROGRESS → ACTIVE',
      'ACTIVE → DEGRADED',
      'DEGRADED → ACTIVE',
      'UNINITIALIZED → DELETE_IN_PROGRESS',
      'INITIALIZED → DELETE_IN_PROGRESS',
      'ACTIVE → DELETE_IN_PROGRESS',
      'DEGRADED → DELETE_IN_PROGRESS',
      'DELETE_IN_PROGRESS → DELETED',
    ],
    ours: ['CREATE_IN_PROGRESS → DEGRADED', 'INITIALIZE_IN_PROGRESS → UNINITIALIZED', 'UPDATE_IN_PROGRESS → DEGRADED'],
  },
  HSM: {
    states: HSM_STATES,
    transitions: HSM_TRANSITIONS,
    reference: [
      'CREATE_IN_PROGRESS → ACTIVE',
      'CREATE_IN_PROGRESS → DEGRADED',
      'ACTIVE → DEGRADED',
      'CREATE_IN_PROGRESS → DELETE_IN_PROGRESS',
      'ACTIVE → DELETE_IN_PROGRESS',
      'DEGRADED → DELETE_IN_PROGRESS',
      'DELETE_IN_PROGRESS → DELETED',
    ],
    ours: ['DEGRADED → ACTIVE', 'DELETE_IN_PROGRESS → DEGRADED', 'ACTIVE → DELETED', 'DEGRADED → DELETED'],
  },
  backup: {
    states: BACKUP_STATES,
    transitions: BACKUP_TRANSITIONS,
    reference: [
      'CREATE_IN_PROGRESS → READY',
      'CREATE_IN_PROGRESS → DELETED',
      'READY → PENDING_DELETION',
      'PENDING_DELETION → DELETED',
      'PENDING_DELETION → READY',
    ],
    ours: [],
  },
}

for (const [kind, { states, transitions, reference, ours }] of Object.entries(MACHINES)) {
  const table: Readonly<Record<string, readonly string[]>> = transitions
  describe(`the states of a ${kind}`, () => {
    test('follow one another as the reference says, or as is written here beside it', () => {
      const arrows = Object.entries(table).flatMap(([from, next]) => next.map((to) => `${from} → ${to}`))
      assert.deepEqual(arrows.toSorted(), [...reference, ...ours].toSorted())
    })

    test('are all reached but the first, and all left but DELETED', () => {
      const reached = Object.values(table).flat()
      assert.deepEqual(
        states.filter((state) => !reached.includes(state)),
        ['CREATE_IN_PROGRESS'],
      )
      assert.deepEqual(
        states.filter((state) => table[state]?.length === 0),
        ['DELETED'],
      )
    })
  })
}
