import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceError } from '../../provider-schema/errors.ts'
import { pageToken, positionIn } from './page-token.ts'

const KEY = Buffer.alloc(32, 1)
const QUERY = ['DescribeClusters', '000000000000', ['a']]

test('a token gives back the position it was made of', () => {
  const token = pageToken(KEY, QUERY, 'cluster-aaaaaaaaaaaaaaaa')
  assert.equal(positionIn(KEY, QUERY, token), 'cluster-aaaaaaaaaaaaaaaa')
  assert.ok(token.length <= 256)
  assert.match(token, /^[\w-]+$/)
})

test('a token of another key, operation, account or filter is refused, and so is one that was changed', () => {
  const token = pageToken(KEY, QUERY, 'x')
  const refused = (key: Buffer, query: readonly unknown[], text: string) =>
    assert.throws(
      () => positionIn(key, query, text),
      (error) => error instanceof ServiceError && error.code === 'CloudHsmInvalidRequestException',
    )
  refused(Buffer.alloc(32, 2), QUERY, token)
  refused(KEY, ['DescribeBackups', ...QUERY.slice(1)], token)
  refused(KEY, ['DescribeClusters', '111111111111', ['a']], token)
  refused(KEY, ['DescribeClusters', '000000000000', undefined], token)
  for (const text of ['', 'x', token.slice(1), `${token}AAAA`, 'ü'.repeat(30)]) refused(KEY, QUERY, text)
})

test('values cannot be moved from one filter to another', () => {
  const token = pageToken(KEY, ['q', ['a'], undefined], 'x')
  assert.throws(() => positionIn(KEY, ['q', undefined, ['a']], token))
})
