import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attributesFlag } from './attributes.ts'
import { CliError } from './cli-error.ts'
import { parseFilter, parseHandle } from './filters.ts'
import { splitWords } from './words.ts'

test('attribute filters take the type of their attribute and are combined', () => {
  assert.deepEqual(
    parseFilter(['attr.label=pub', 'attr.class=public-key', 'attr.sign=true', 'attr.key-length-bytes=32']),
    {
      attributes: { label: 'pub', class: 'public-key', sign: true, 'key-length-bytes': 32 },
    },
  )
})

test('a value may hold equals signs, blanks, line ends or nothing', () => {
  assert.deepEqual(parseFilter(['attr.label=a=b c\nd', 'attr.id=']), { attributes: { label: 'a=b c\nd', id: '' } })
})

test('a key reference may be hexadecimal of any length or decimal', () => {
  for (const [text, handle] of [
    ['0x00000000000c0008', '0x00000000000c0008'],
    ['0xC0008', '0x00000000000c0008'],
    ['786440', '0x00000000000c0008'],
    ['18446744073709551615', '0xffffffffffffffff'],
  ] as const) {
    assert.deepEqual(parseFilter([`key-reference=${text}`]), { handle, attributes: {} })
  }
})

test('what is no filter is refused with what could be written', () => {
  for (const [words, message] of [
    [['label=x'], /Invalid filter "label=x": write key-reference=0x… or attr\.NAME=VALUE/],
    [['attr.label'], /Invalid filter/],
    [['attr.colour=red'], /Unknown attribute "colour".*There are: key-type, label/],
    [['attr.sign=yes'], /attr\.sign is true or false, not "yes"/],
    [['attr.key-length-bytes=many'], /is a number/],
    [['key-reference=0x1', 'attr.label=x'], /either key-reference or attributes/],
    [['attr.label=keep', 'attr.label=other'], /names attr\.label twice/],
    [['key-reference=0x1', 'key-reference=0x2'], /names key-reference twice/],
  ] as const) {
    assert.throws(() => parseFilter(words), { message })
  }
  for (const text of ['', '0x', '0xg', '-1', '18446744073709551616', '0x11111111111111111']) {
    assert.throws(() => parseHandle(text), CliError, text)
  }
})

test('attributes of a new key are booleans or an id; anything else is refused', () => {
  assert.deepEqual(attributesFlag.parse(['sign=true', 'extractable=false', 'id=0x01']), {
    sign: true,
    extractable: false,
    id: '0x01',
  })
  for (const [word, message] of [
    ['sign', /not NAME=VALUE/],
    ['sign=1', /sign is true or false, not \\"1\\"/],
    ['token=false', /\\"token\\" cannot be set/],
    ['id=xyz', /an id is 0x/],
  ] as const) {
    assert.throws(() => attributesFlag.parse([word]), { message })
  }
  assert.throws(() => attributesFlag.parse(['sign=true', 'sign=false']), { message: /\\"sign\\" is given twice/ })
})

test('lines are cut into words as a shell cuts them', () => {
  assert.deepEqual(splitWords('  key  list --filter attr.label="my key" '), [
    'key',
    'list',
    '--filter',
    'attr.label=my key',
  ])
  assert.deepEqual(splitWords(String.raw`a\ b 'c\d' "e\"f" ''`), ['a b', String.raw`c\d`, 'e"f', ''])
  assert.deepEqual(splitWords(' \t '), [])
  assert.throws(() => splitWords('user "x'), { message: 'A quote (") is not closed' })
})
