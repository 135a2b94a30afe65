import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceError } from '../../provider-schema/errors.ts'
import { AnswerTooLate, databaseErrorOf, serviceErrorOf } from './failures.ts'

const database = (code: string, constraint?: string) =>
  Object.assign(new Error('from pg'), { code, severity: 'ERROR', constraint })
const system = (code: string) => Object.assign(new Error('from the system'), { code, syscall: 'connect' })

const UNAVAILABLE: readonly (readonly [string, unknown])[] = [
  ['a refused connection', system('ECONNREFUSED')],
  ['a refused connection to every address', new AggregateError([system('ECONNREFUSED')])],
  ['a server that starts up', database('57P03')],
  ['a server that shuts down', database('57P01')],
  ['a cancelled statement', database('57014')],
  ['too many connections', database('53300')],
  ['a transaction that kept losing', database('40P01')],
  ['a connection that broke', new Error('Connection terminated unexpectedly')],
  ['a pool without a free connection', new Error('timeout exceeded when trying to connect')],
  ['a wrapped one', new Error('Failed query', { cause: database('57P01') })],
  ['work that took too long', new AnswerTooLate(1)],
]
for (const [what, error] of UNAVAILABLE) {
  test(`${what} makes the service unavailable`, () => {
    const failure = serviceErrorOf(error)
    assert.equal(failure.code, 'ServiceUnavailableException')
    assert.equal(failure.cause, error)
  })
}

test('a refusal stays what it is; anything else is our failure', () => {
  const refusal = new ServiceError('CloudHsmTagException', 'x')
  assert.equal(serviceErrorOf(refusal), refusal)
  const ours = [
    new TypeError('x'),
    database('42P01'),
    database('23505'),
    undefined,
    'text',
    new Error('x', { cause: 1 }),
  ]
  for (const error of ours) assert.equal(serviceErrorOf(error).code, 'CloudHsmInternalFailureException')
})

test("the database's code and constraint are found below what wraps them", () => {
  const wrapped = new Error('Failed query', { cause: database('23505', 'hsms_eni_ip') })
  assert.deepEqual(databaseErrorOf(wrapped), { code: '23505', constraint: 'hsms_eni_ip' })
  assert.equal(databaseErrorOf(system('ECONNREFUSED')), undefined)
  const circular = new Error('x')
  circular.cause = circular
  assert.equal(databaseErrorOf(circular), undefined)
})
