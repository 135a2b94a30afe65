import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Trouble } from '../trouble.ts'
import { addressesIn } from './pool.ts'

test('addresses are read as single ones, ranges and networks', () => {
  assert.deepEqual(addressesIn('10.0.5.7'), ['10.0.5.7'])
  assert.deepEqual(addressesIn('10.0.3.254-10.0.4.1, 10.0.5.7'), [
    '10.0.3.254',
    '10.0.3.255',
    '10.0.4.0',
    '10.0.4.1',
    '10.0.5.7',
  ])
  assert.deepEqual(addressesIn('10.0.4.9/30'), ['10.0.4.9', '10.0.4.10'])
  assert.equal(addressesIn('192.168.255.0/24').length, 254)
  assert.equal(addressesIn('10.0.0.0/22').at(-1), '10.0.3.254')
})

test('what is no address, is upside down or far too much is refused by its name', () => {
  for (const text of [
    '',
    '10.0.0',
    '10.0.0.1-',
    '10.0.0.9-10.0.0.1',
    '10.0.0.0/8',
    '10.0.0.0/31',
    '10.0.0.1-10.0.0.2/24',
    '::1',
    '10.0.0.1-10.9.0.0',
    '10.0.0.0/22,10.1.0.0/22',
  ]) {
    assert.throws(() => addressesIn(text), Trouble, text)
  }
})
