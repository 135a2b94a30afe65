import assert from 'node:assert/strict'
import { test } from 'node:test'
import packageJson from '../../package.json' with { type: 'json' }
import { clientsTooOld, OLDEST_CLIENTS } from './client-versions.ts'

const now = new Date('2026-05-08T00:00:00Z')
const DAY = 86_400_000
const oldest = { 'strongroom-sdk': '1.9', billing: '3.0.1' }
const at = (client: string, daysAgo = 1) => ({ client, seenAt: now.getTime() - daysAgo * DAY })
const check = (...clients: string[]) =>
  clientsTooOld(
    clients.map((client) => at(client)),
    now,
    oldest,
  )

test('a client whose version is lower stands in the way, number by number, whatever follows them', () => {
  for (const client of ['strongroom-sdk/1.8.9', 'strongroom-sdk/0.9', 'billing/3.0.0', 'billing/3', 'billing/2.9.9']) {
    assert.match(check(client) ?? '', /too old were connected in the last 7 days/, client)
  }
  for (const client of ['strongroom-sdk/1.9', 'strongroom-sdk/1.10.0', 'strongroom-sdk/2.0.0-rc1', 'billing/3.0.1+b']) {
    assert.equal(check(client), undefined, client)
  }
})

test('a client of a known name that says no version, or none that can be read, counts as too old', () => {
  for (const client of ['billing', 'billing/', 'billing/latest', 'strongroom-sdk']) assert.ok(check(client), client)
})

test('a client of another name has no version to be measured by', () => {
  for (const client of ['payroll/0.0.1', '', 'constructor/1', '__proto__/0']) assert.equal(check(client), undefined)
})

test('seven days are what counts', () => {
  assert.ok(clientsTooOld([at('billing/1', 6.99)], now, oldest))
  assert.equal(clientsTooOld([at('billing/1', 7)], now, oldest), undefined)
})

test('the text fits a StateMessage and names one client and how many more', () => {
  const text = check('billing/1', 'billing/2', `strongroom-sdk/1.${'0'.repeat(80)}`) ?? ''
  assert.match(text, /: billing 1 \(3\.0\.1 is needed\) and 2 more\. Update them/)
  assert.ok(`The change to hsm2m.medium is undone. ${text}`.length <= 300)
})

test('clients of this version do not stand in the way', () => {
  const clients = Object.keys(OLDEST_CLIENTS).map((name) => at(`${name}/${packageJson.version}`))
  assert.equal(clientsTooOld(clients, now, OLDEST_CLIENTS), undefined)
})
