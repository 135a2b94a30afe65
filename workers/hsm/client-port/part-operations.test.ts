import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PartOperations, type PartOperation } from './part-operations.ts'

const echo = (): PartOperation => ({
  update: (data) => data,
  finish: () => ({ output: Buffer.from('end') }),
})
const limits = { operations: 2, bytes: 10, idleMs: 60_000 }

test('operations count: one more than there may be is refused, and a finished or cancelled one makes room', async () => {
  const parts = new PartOperations(limits)
  const first = parts.begin(echo)
  const second = parts.begin(echo)
  assert.throws(() => parts.begin(echo), { code: 'LimitExceeded', message: /at most 2/ })
  assert.equal(Buffer.from((await parts.finish(first, undefined)).output).toString(), 'end')
  parts.begin(echo)
  parts.cancel(second)
  parts.begin(echo)
  assert.throws(() => parts.update(first, Buffer.alloc(1)), { code: 'WrongState' })
})

test('bytes count over all parts, and too many end the operation', () => {
  const parts = new PartOperations(limits)
  const number = parts.begin(echo)
  parts.update(number, Buffer.alloc(9))
  assert.throws(() => parts.update(number, Buffer.alloc(2)), { code: 'LimitExceeded', message: /10 bytes/ })
  assert.throws(() => parts.update(number, Buffer.alloc(0)), { code: 'WrongState' })
  assert.equal(parts.count, 0)
})

test('what an operation throws ends it; one that cannot begin takes no room', () => {
  const parts = new PartOperations(limits)
  const failing = () => {
    throw new Error('no')
  }
  const number = parts.begin(() => ({ ...echo(), update: failing }))
  assert.throws(() => parts.update(number, Buffer.alloc(1)), { message: 'no' })
  assert.throws(() => parts.begin(failing), { message: 'no' })
  assert.equal(parts.count, 0)
})

test('an idle operation is given up, each part starts the time anew, and the end of a login ends all', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const parts = new PartOperations(limits)
  const idle = parts.begin(echo)
  t.mock.timers.tick(limits.idleMs)
  assert.throws(() => parts.update(idle, Buffer.alloc(1)), { code: 'WrongState', message: /idled too long/ })
  parts.begin(echo)
  parts.begin(echo)
  parts.end()
  assert.equal(parts.count, 0)
})
