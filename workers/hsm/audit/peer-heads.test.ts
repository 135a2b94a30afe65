/** HSMs that write down how far each other's logs are, and what is found with that. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { SimulatedClock } from '../replication/testing/simulated-clock.ts'
import { fleetPki } from '../testing/pki.ts'
import type { AuditLog } from './audit-log.ts'
import { compareLogs } from '../../../audit-log/compare.ts'
import { PeerHeads } from './peer-heads.ts'
import { auditedHsm, CLUSTER, loginOf } from './testing/audited-hsm.ts'
import { verifyAudit, type AuditFile } from '../../../audit-log/verify.ts'

const pki = fleetPki()
const EVERY_MS = 11 * 60_000

/** The HSM `one` has a log of some logins; `two` hears of it as replication does it, every second. */
async function twoHsms(t: TestContext, limits = {}) {
  const one = await auditedHsm(t, { pki, hsmId: 'hsm-one' })
  const two = await auditedHsm(t, { pki, hsmId: 'hsm-two' })
  const logs = { one: await one.open(limits), two: await two.open() }
  const clock = new SimulatedClock(1)
  const notes: Promise<void>[] = []
  const watching = (own: AuditLog) =>
    new PeerHeads({ clock, note: (event) => void notes.push(own.note(CLUSTER, event)) })
  const heads = { one: watching(logs.one), two: watching(logs.two) }
  t.after(() => Object.values(heads).forEach((each) => each.stop()))
  const pass = async () => {
    if (logs.one.head) heads.two.heard('hsm-one', logs.one.head)
    if (logs.two.head) heads.one.heard('hsm-two', logs.two.head)
    await clock.run(EVERY_MS)
    await Promise.all(notes.splice(0))
  }
  const login = async (count: number) => {
    for (let i = 0; i < count; i++) await logs.one.note(CLUSTER, loginOf(`user_${i}`))
  }
  const findings = (files: readonly AuditFile[], others: readonly AuditFile[]) =>
    compareLogs([files, others].map((each) => verifyAudit(each, { root: pki.trust.root }))).map((log) =>
      log.findings.map(({ file, says }) => `${file}: ${says}`),
    )
  return { one, two, logs, login, pass, findings }
}

const cutBehind = ({ name, text }: AuditFile, lines: number): AuditFile => ({
  name,
  text: `${text.split('\n').slice(0, lines).join('\n')}\n`,
})

test("an end cut off exactly behind a checkpoint is found with another HSM's log", async (t) => {
  const { one, two, login, pass, findings } = await twoHsms(t)
  await login(5)
  await pass()
  const [whole] = await one.files()
  assert.ok(whole)
  assert.deepEqual(findings([whole], await two.files()), [[], []])
  const cut = cutBehind(whole, 10)
  assert.deepEqual(verifyAudit([cut], { root: pki.trust.root }).findings, [], 'alone it is whole')
  const [found] = findings([cut], await two.files())
  assert.match(
    found?.join() ?? '',
    /^000001\.jsonl: hsm-two saw 5 events of this log, .*\(000001\.jsonl:\d+\).*cut off/,
  )
})

test('what was written since the other HSM looked is not missed, nor what was removed with old files', async (t) => {
  const { one, two, login, pass, findings } = await twoHsms(t, { fileBytes: 3_000, files: 2 })
  await login(5)
  await pass()
  await login(20)
  const files = await one.files()
  assert.equal(files.length, 2)
  const from = verifyAudit(files, { root: pki.trust.root }).from
  assert.ok(from > 5)
  const verified = verifyAudit(files, { root: pki.trust.root, from })
  const others = verifyAudit(await two.files(), { root: pki.trust.root })
  assert.deepEqual(
    compareLogs([verified, others]).flatMap((log) => log.findings),
    [],
  )
  assert.deepEqual(findings(files, await two.files())[1], [])
})

test('heads alone are no news: two HSMs where nothing happens any more write nothing any more', async (t) => {
  const { logs, login, pass } = await twoHsms(t)
  await login(1)
  for (let i = 0; i < 3; i++) await pass()
  const before = [logs.one.sequence, logs.two.sequence]
  assert.deepEqual(before, [1, 1])
  for (let i = 0; i < 3; i++) await pass()
  assert.deepEqual([logs.one.sequence, logs.two.sequence], before)
  await login(1)
  await pass()
  assert.equal(logs.two.sequence, 2)
})

test('logs of other clusters say nothing of each other', async (t) => {
  const { one, two, login, pass } = await twoHsms(t)
  await login(3)
  await pass()
  const [whole] = await one.files()
  assert.ok(whole)
  const cut = verifyAudit([cutBehind(whole, 6)], { root: pki.trust.root })
  const other = { ...verifyAudit(await two.files(), { root: pki.trust.root }), clusterId: 'cluster-other' }
  assert.deepEqual(compareLogs([cut, other])[0]?.findings, [])
})
