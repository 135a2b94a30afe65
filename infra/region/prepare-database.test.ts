import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import { pino } from 'pino'
import { testServer } from '../../test/support/database.ts'
import { databaseState } from '../postgres/ensure-database.ts'
import { prepareDatabase } from './prepare-database.ts'

const log = pino({ level: 'silent' })
const user = `limited_${randomBytes(4).toString('hex')}`
let admin: Client
let server: string
before(async () => {
  server = await testServer()
  admin = new Client({ connectionString: server })
  await admin.connect()
  await admin.query(`create role ${user} login password 'right'`)
})
after(async () => {
  await admin.query(`drop role ${user}`)
  await admin.end()
})

function urlOf(change: Partial<Pick<URL, 'username' | 'password' | 'host'>>): string {
  const url = Object.assign(new URL(server), change)
  url.pathname = `/${user}`
  return url.href
}

/** The first thing that it waits for. */
async function complaintAbout(url: string): Promise<string> {
  const stopping = new AbortController()
  const told = Promise.withResolvers<string>()
  const work = prepareDatabase(url, { log, signal: stopping.signal, onWaiting: told.resolve })
  try {
    return await Promise.race([told.promise, work.then(() => 'nothing')])
  } finally {
    stopping.abort()
    await work.catch(() => undefined)
  }
}

test('says what it waits for, and names neither user nor host to whoever asks', async () => {
  const wait = 'wait for the database server, which '
  assert.equal(await complaintAbout(urlOf({ host: '127.0.0.1:1' })), `${wait}cannot be reached`)
  const wrong = urlOf({ username: user, password: 'wrong' })
  assert.equal(await complaintAbout(wrong), `${wait}refuses the user or the password`)
  const limited = urlOf({ username: user, password: 'right' })
  assert.equal(await complaintAbout(limited), `${wait}does not let this user make the database or what belongs in it`)
})

test('the doctor can tell beforehand, and makes nothing', async () => {
  assert.equal(await databaseState(server), 'there')
  assert.equal(await databaseState(urlOf({})), 'can be made')
  assert.equal(await databaseState(urlOf({ username: user, password: 'right' })), 'missing')
  await assert.rejects(databaseState(urlOf({ username: user, password: 'wrong' })), /password authentication failed/)
  assert.equal(await databaseState(urlOf({})), 'can be made')
})
