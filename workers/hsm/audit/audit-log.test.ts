import assert from 'node:assert/strict'
import { appendFile, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readLine } from '../../../audit-log/chain.ts'
import { eventText } from './event.ts'
import { auditedHsm, CLUSTER, loginOf } from './testing/audited-hsm.ts'

test("an event reads as AWS's do", () => {
  const stamp = { usecs: 1_513_717_276_962_174, sequence: 18, reboots: 0xe8 }
  assert.equal(
    eventText({ ...loginOf('crypto_user'), session: 0x7014006 }, stamp),
    [
      'Time: 12/19/17 21:01:16.962174, usecs:1513717276962174',
      'Sequence No : 0x12',
      'Reboot counter : 0xe8',
      'Command Type(hex) : CN_MGMT_CMD (0x0)',
      'Opcode : CN_LOGIN (0xd)',
      'Session Handle : 0x7014006',
      'Response : 0:HSM Return: SUCCESS',
      'Log type : MGMT_USER_DETAILS_LOG (2)',
      'User Name : crypto_user',
      'User Type : CN_CRYPTO_USER (1)',
    ].join('\n'),
  )
})

test('handles are printed in decimal, however large', () => {
  const text = eventText(
    {
      opcode: 'CN_GENERATE_KEY_PAIR',
      operation: 'key-generate-rsa',
      session: 1,
      details: { kind: 'keys', secret: '0xffffffffffffffff', public: '0x0000000000000010' },
    },
    { usecs: 0, sequence: 0, reboots: 1 },
  )
  assert.match(
    text,
    /Log type : MGMT_KEY_DETAILS_LOG \(1\)\nPriv\/Secret Key Handle : 18446744073709551615\nPublic Key Handle : 16$/,
  )
})

test('numbers are gapless over restarts, and each restart raises the reboot counter', async (t) => {
  const hsm = await auditedHsm(t)
  for (let start = 0; start < 3; start++) {
    const log = await hsm.open()
    await Promise.all(['a', 'b', 'c'].map((name) => log.note(CLUSTER, loginOf(name))))
    await log.close()
  }
  const { findings, events, head, hsmId, clusterId } = await hsm.verify()
  assert.deepEqual(findings, [])
  assert.deepEqual([events, head?.events, hsmId, clusterId], [9, 9, 'hsm-aaaaaaaaaaa', CLUSTER])
  const text = (await hsm.files()).map((file) => file.text).join('')
  assert.deepEqual(
    [...text.matchAll(/Sequence No : (0x[0-9a-f]+)\\nReboot counter : (0x\d)/g)].map(([, no, reboots]) => [
      no,
      reboots,
    ]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => [`0x${n}`, `0x${Math.floor(n / 3) + 1}`]),
  )
})

test('an event is in the file when it is told to be recorded', async (t) => {
  const hsm = await auditedHsm(t)
  const log = await hsm.open()
  for (const name of ['alice', 'bob']) {
    await log.note(CLUSTER, loginOf(name))
    const last = (await hsm.files()).at(-1)?.text.trimEnd().split('\n') ?? []
    assert.match(last.at(-2) ?? '', new RegExp(`User Name : ${name}`))
    assert.equal(readLine(last.at(-1) ?? '')?.line.kind, 'checkpoint')
  }
})

test('a file that has grown is followed by another, and only so many are kept', async (t) => {
  const hsm = await auditedHsm(t)
  const log = await hsm.open({ fileBytes: 6_000, files: 3 })
  for (let i = 0; i < 60; i++) await log.note(CLUSTER, loginOf(`user_${i}`))
  const files = await hsm.files()
  assert.equal(files.length, 3)
  const first = readLine(files[0]?.text.split('\n')[0] ?? '')?.line
  assert.ok(first?.kind === 'file' && first.file > 1)
  assert.match((await hsm.verify()).findings[0]?.says ?? '', /the files before file \d+ are missing/)
  assert.deepEqual((await hsm.verify({ from: first.sequence })).findings, [])
})

for (const cut of [1, 40, 300]) {
  test(`a last line that lacks ${cut} bytes is cut off, said so, and the log goes on`, async (t) => {
    const hsm = await auditedHsm(t)
    const log = await hsm.open()
    await log.note(CLUSTER, loginOf('kept'))
    await log.note(CLUSTER, loginOf('torn'))
    await log.close()
    const path = join(hsm.auditDirectory, '000001.jsonl')
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    // As a power cut in the middle of the second write leaves it: without its checkpoint, and not whole.
    const torn = `${lines.slice(0, -1).join('\n')}\n`
    await writeFile(path, torn.slice(0, -cut))
    const again = await hsm.open()
    await again.note(CLUSTER, loginOf('after'))
    const text = (await hsm.files())[0]?.text ?? ''
    assert.match(text, /User Name : kept/)
    assert.match(text, /"kind":"repair".*"bytes":\d+/)
    assert.match(text, /Sequence No : 0x1\\n.*User Name : after/)
    assert.deepEqual((await hsm.verify()).findings, [])
  })
}

test('whole lines without their checkpoint are kept: the next one signs for them', async (t) => {
  const hsm = await auditedHsm(t)
  const log = await hsm.open()
  await log.note(CLUSTER, loginOf('one'))
  await log.close()
  const path = join(hsm.auditDirectory, '000001.jsonl')
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  await writeFile(path, `${lines.slice(0, -1).join('\n')}\n`)
  const again = await hsm.open()
  await again.note(CLUSTER, loginOf('two'))
  const { events, findings } = await hsm.verify()
  assert.deepEqual([events, findings], [2, []])
})

test('a file that was made and not yet written to does not count', async (t) => {
  const hsm = await auditedHsm(t)
  const log = await hsm.open()
  await log.note(CLUSTER, loginOf('one'))
  await log.close()
  await writeFile(join(hsm.auditDirectory, '000002.jsonl'), '')
  const again = await hsm.open({ fileBytes: 1 })
  await again.note(CLUSTER, loginOf('two'))
  assert.deepEqual((await hsm.verify()).findings, [])
})

const damages: readonly (readonly [string, (path: string) => Promise<void>, RegExp])[] = [
  [
    'an altered line',
    async (path) => writeFile(path, (await readFile(path, 'utf8')).replace('User Name : one', 'User Name : eve')),
    /line 3 of 000001\.jsonl was altered/,
  ],
  ['a file that is gone', (path) => rm(path), /its files are gone: 2 events/],
  [
    'an end that is gone, cut behind a checkpoint',
    async (path) => {
      const lines = (await readFile(path, 'utf8')).split('\n')
      await truncate(path, Buffer.byteLength(`${lines.slice(0, 4).join('\n')}\n`))
    },
    /1 events at its end are gone/,
  ],
]
for (const [what, damage, says] of damages) {
  test(`the HSM itself notices ${what} at its next start, says so in a new file, and gives no number twice`, async (t) => {
    const hsm = await auditedHsm(t)
    const log = await hsm.open()
    await log.note(CLUSTER, loginOf('one'))
    await log.note(CLUSTER, loginOf('two'))
    await log.close()
    // What the store remembers is how far the log was at a start.
    await (await hsm.open()).close()
    await damage(join(hsm.auditDirectory, '000001.jsonl'))
    const again = await hsm.open()
    await again.note(CLUSTER, loginOf('three'))
    const last = (await hsm.files()).at(-1)
    assert.match(last?.text ?? '', /Sequence No : 0x2\\n.*User Name : three/)
    const { findings } = await hsm.verify()
    assert.ok(
      findings.some((finding) => says.test(finding.says)),
      JSON.stringify(findings),
    )
  })
}

test('while the disk is full what was begun is still written, what comes then is refused, and it ends by itself', async (t) => {
  const hsm = await auditedHsm(t)
  const log = await hsm.open({ retryMs: 20 })
  await log.note(CLUSTER, loginOf('one'))
  log.begin()
  // What stands in the reserve's place cannot be made: as on a disk without room for it.
  const reserve = join(hsm.auditDirectory, 'reserve')
  await rm(reserve)
  const { mkdir } = await import('node:fs/promises')
  await mkdir(reserve)
  await log.close()
  const full = await hsm.open({ retryMs: 20 })
  assert.throws(() => full.begin(), {
    code: 'StorageFailed',
    message: /refuses what it cannot write into its audit log/,
  })
  await full.note(CLUSTER, loginOf('two'))
  await rm(reserve, { recursive: true })
  for (;;) {
    try {
      full.begin()
      break
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  await full.record(CLUSTER, loginOf('three'))
  assert.deepEqual((await hsm.verify()).findings, [])
})

test('no more operations are begun than there is room held back for', async (t) => {
  const log = await (await auditedHsm(t)).open({ underWay: 2 })
  log.begin()
  log.begin()
  assert.throws(() => log.begin(), { code: 'Busy' })
  log.dismiss()
  log.begin()
})

test('bytes behind the last line are cut off too', async (t) => {
  const hsm = await auditedHsm(t)
  const log = await hsm.open()
  await log.note(CLUSTER, loginOf('one'))
  await log.close()
  await appendFile(join(hsm.auditDirectory, '000001.jsonl'), Buffer.alloc(512))
  const again = await hsm.open()
  await again.note(CLUSTER, loginOf('two'))
  assert.deepEqual((await hsm.verify()).findings, [])
})
