/** Every way in which somebody may tamper with an audit file, and that it is found at the right line. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { fleetPki } from '../workers/hsm/testing/pki.ts'
import { auditedHsm, CLUSTER, loginOf } from '../workers/hsm/audit/testing/audited-hsm.ts'
import { verifyAudit, type AuditFile, type Finding } from './verify.ts'

const pki = fleetPki()

/** Lines: 1 file, 2 checkpoint, then an event and a checkpoint for each of five logins: events on 3, 5, 7, 9, 11. */
async function goodLog(t: TestContext): Promise<AuditFile> {
  const hsm = await auditedHsm(t, { pki })
  const log = await hsm.open()
  for (let i = 0; i < 5; i++) await log.note(CLUSTER, loginOf(`user_${i}`))
  const [file] = await hsm.files()
  assert.ok(file)
  return file
}

const check = (files: readonly AuditFile[], options = {}) => verifyAudit(files, { root: pki.trust.root, ...options })
const atLine = (findings: readonly Finding[], line: number) =>
  findings.filter((finding) => finding.line === line).map(({ says }) => says)

/** Computes the hashes of all lines anew, as somebody without the device key can. */
function rechained(lines: readonly string[]): string[] {
  let previous = '0'.repeat(64)
  return lines.map((line) => {
    const body = line.replace(/,"hash":"[0-9a-f]{64}"(,"signature":"[^"]+")?\}$/, '}')
    const signature = /,"signature":"[^"]+"\}$/.exec(line)?.[0] ?? '}'
    previous = createHash('sha256').update(`${previous}\n${body}`).digest('hex')
    return `${body.slice(0, -1)},"hash":"${previous}"${signature}`
  })
}

const tampering: readonly (readonly [string, (lines: string[]) => readonly string[], number, RegExp])[] = [
  [
    'an altered event',
    (lines) => lines.map((line) => line.replace('User Name : user_2', 'User Name : nobody')),
    7,
    /was altered/,
  ],
  [
    'an altered time',
    (lines) => lines.with(6, lines[6]?.replace(/"timestamp":\d/, '"timestamp":9') ?? ''),
    7,
    /altered/,
  ],
  ['a removed event', (lines) => lines.toSpliced(6, 1), 7, /altered, or one before it was removed/],
  [
    'a removed event and its checkpoint',
    (lines) => lines.toSpliced(6, 2),
    7,
    /events 0x2 to 0x2 before this line are missing/,
  ],
  ['a removed checkpoint', (lines) => lines.toSpliced(5, 1), 6, /removed/],
  ['a removed first line', (lines) => lines.slice(1), 1, /first line of the file is missing/],
  ['events in another order', (lines) => lines.with(4, lines[6] ?? '').with(6, lines[4] ?? ''), 5, /altered|missing/],
  ['an event that stands there twice', (lines) => lines.toSpliced(7, 0, lines[6] ?? ''), 8, /inserted or moved/],
  [
    'an inserted line of another kind',
    (lines) => lines.toSpliced(4, 0, '{"kind":"event"}'),
    5,
    /no line of an audit log/,
  ],
  ['a line that is empty', (lines) => lines.toSpliced(4, 0, ''), 5, /no line of an audit log/],
  ['a line that is cut short', (lines) => lines.with(8, lines[8]?.slice(0, 80) ?? ''), 9, /altered/],
  ['an end that is cut off in the middle of a write', (lines) => lines.slice(0, 11), 11, /without a checkpoint/],
  [
    'an altered event whose hashes were all made anew',
    (lines) => rechained(lines.map((line) => line.replace('User Name : user_2', 'User Name : nobody'))),
    8,
    /signature does not hold/,
  ],
  ['a removed event whose hashes were all made anew', (lines) => rechained(lines.toSpliced(6, 2)), 7, /0x2 to 0x2/],
  [
    'a signature from another place',
    (lines) => {
      const signature = /"signature":"[^"]+"/
      return lines.with(7, lines[7]?.replace(signature, signature.exec(lines[9] ?? '')?.[0] ?? '') ?? '')
    },
    8,
    /signature does not hold/,
  ],
]

test('a log that nobody touched is whole', async (t) => {
  const file = await goodLog(t)
  const { findings, events, head } = check([file])
  assert.deepEqual(findings, [])
  assert.equal(events, 5)
  assert.equal(head?.events, 5)
})

for (const [what, tamper, line, says] of tampering) {
  test(`${what} is found at line ${line}`, async (t) => {
    const file = await goodLog(t)
    const lines = file.text.trimEnd().split('\n')
    assert.equal(lines.length, 12)
    const { findings } = check([{ ...file, text: `${tamper(lines).join('\n')}\n` }])
    assert.ok(
      atLine(findings, line).some((each) => says.test(each)),
      JSON.stringify(findings),
    )
  })
}

test('a last line without its end is found', async (t) => {
  const file = await goodLog(t)
  const { findings } = check([{ ...file, text: file.text.slice(0, -20) }])
  assert.deepEqual(atLine(findings, 12), ['the line is cut short'])
})

test('an end cut off exactly behind a checkpoint is found by a checkpoint that was noted before', async (t) => {
  const file = await goodLog(t)
  const head = check([file]).head?.hash
  const cut = { ...file, text: `${file.text.split('\n').slice(0, 10).join('\n')}\n` }
  assert.deepEqual(check([cut]).findings, [], 'a chain alone cannot tell')
  assert.match(check([cut], { head }).findings[0]?.says ?? '', /the end of the log was cut off/)
  assert.deepEqual(check([file], { head }).findings, [])
})

test('a log signed by a device of another fleet is found', async (t) => {
  const file = await goodLog(t)
  const { findings } = verifyAudit([file], { root: fleetPki().trust.root })
  assert.match(atLine(findings, 1)[0] ?? '', /nobody vouches for the file/)
})

test('files in any order are one log; one that is missing, twice or of another HSM is found', async (t) => {
  const hsm = await auditedHsm(t, { pki })
  const log = await hsm.open({ fileBytes: 3_000 })
  for (let i = 0; i < 12; i++) await log.note(CLUSTER, loginOf(`user_${i}`))
  const files = await hsm.files()
  assert.ok(files.length >= 3)
  assert.deepEqual(check(files.toReversed()).findings, [])
  assert.match(
    check(files.toSpliced(1, 1))
      .findings.map(({ says }) => says)
      .join(),
    /what is between them is missing/,
  )
  assert.match(
    check(files.slice(1))
      .findings.map(({ says }) => says)
      .join(),
    /files before file 2 are missing/,
  )
  assert.notDeepEqual(check([...files, ...files.slice(0, 1)]).findings, [])
  const other = await auditedHsm(t, { pki, hsmId: 'hsm-bbbbbbbbbbb' })
  await (await other.open()).note(CLUSTER, loginOf('x'))
  const [foreign] = await other.files()
  assert.ok(foreign)
  assert.match(
    check([...files, foreign])
      .findings.map(({ says }) => says)
      .join(),
    /the file is of hsm-/,
  )
})

test('nothing at all is not a log', () => {
  assert.match(check([]).findings[0]?.says ?? '', /no audit log/)
})
