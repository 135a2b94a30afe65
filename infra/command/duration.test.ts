import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Trouble } from '../trouble.ts'
import { durationText, secondsIn } from './duration.ts'

test('durations are read as people write them, and refused otherwise', () => {
  const cases = { '8d': 691_200, '36h': 129_600, '1d12h': 129_600, '90m': 5_400, '2w': 1_209_600, '1h30m5s': 5_405 }
  for (const [text, seconds] of Object.entries(cases)) assert.equal(secondsIn(text), seconds, text)
  for (const text of ['', '8', 'd', '0d', '-8d', '8 d', '1h1d', '1.5d', '8days', '9999999d']) {
    assert.throws(() => secondsIn(text), Trouble, text)
  }
})

test('durations are told by their two largest units', () => {
  const cases = [
    [0, '0s'],
    [59, '59s'],
    [691_200, '8d'],
    [129_605, '1d 12h'],
    [3_660, '1h 1m'],
  ] as const
  for (const [seconds, text] of cases) assert.equal(durationText(seconds), text)
})
