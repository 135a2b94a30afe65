import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matches, patternOf } from './wildcard.ts'

const VALUES: Readonly<Record<string, string>> = { 'aws:username': 'ada', 'aws:principaltag/team': 'a*b' }
const variables = (key: string) => VALUES[key]
const isMatch = (pattern: string, text: string) => matches(patternOf(pattern, { variables: true }), text, variables)

const ROWS: readonly (readonly [string, string, boolean])[] = [
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'anything', true],
  ['a*', 'a', true],
  ['*a', 'ba', true],
  ['*a', 'ab', false],
  ['a*c', 'abbbc', true],
  ['a*c', 'abbbcd', false],
  ['a**c', 'ac', true],
  ['*ab*ab', 'abab', true],
  ['*ab*ab', 'abxabyab', true],
  ['*ab*ab', 'ab', false],
  ['?', '', false],
  ['?', 'x', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['*?x', 'x', false],
  ['*?x', 'xx', true],
  ['a.c', 'abc', false],
  ['(a+)+$', 'aaaa', false],
  ['${aws:username}', 'ada', true],
  ['${AWS:UserName}', 'ada', true],
  ['x/${aws:username}/*', 'x/ada/1', true],
  ['x/${aws:username}/*', 'x/bob/1', false],
  ['${aws:unknown}', '', false],
  ['${aws:unknown}*', 'anything', false],
  ["${aws:unknown, 'nobody'}", 'nobody', true],
  ["${aws:username, 'nobody'}", 'ada', true],
  // What a value holds is no wildcard.
  ['${aws:PrincipalTag/team}', 'a*b', true],
  ['${aws:PrincipalTag/team}', 'axxb', false],
  ['${*}', '*', true],
  ['${*}', 'x', false],
  ['${?}${$}', '?$', true],
]
for (const [pattern, text, expected] of ROWS) {
  test(`'${pattern}' ${expected ? 'means' : 'does not mean'} '${text}'`, () => {
    assert.equal(isMatch(pattern, text), expected)
  })
}

test('without variables, as in policies of 2008, a variable is plain text', () => {
  assert.equal(matches(patternOf('${aws:username}'), '${aws:username}', variables), true)
})

test('a variable that is none is refused', () => {
  for (const text of ['${', '${aws:username', '${}', '${a b}']) {
    assert.throws(() => patternOf(text, { variables: true }), SyntaxError, text)
  }
})

test('a pattern made to run away is done at once', () => {
  const pattern = patternOf(`${'*a'.repeat(3_000)}b`)
  assert.equal(matches(pattern, 'a'.repeat(3_000), variables), false)
})

test('agrees with a plain regular expression on short patterns', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 })
  fc.assert(
    fc.property(letters, text, (pattern, value) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`)
      assert.equal(isMatch(pattern, value), expression.test(value))
    }),
    { numRuns: 2_000 },
  )
})
