/** Regions that run apart, each with a database of its own, over real mutual TLS. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { z } from 'zod'
import { createAccount } from '../../api/identity/directory.ts'
import { trailRows } from '../../state/audit.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import type { StoredDirectory } from '../../state/identity.ts'
import { freshDatabase, type FreshDatabase } from '../../test/support/database.ts'
import { untilTrue } from '../../test/support/product.ts'
import { startRegion, type Region } from '../region/region.ts'
import { regionSettings, type Peers } from '../region/settings.ts'
import { isNewer, levelWith, type AccountPeers } from './level.ts'

const HERE = 'us-east-1'
const THERE = 'eu-west-1'
const log = pino({ level: 'silent' })

const version = (revision: number, stamp: string): StoredDirectory => ({
  revision,
  stamp,
  directory: createAccount({ accounts: [] }, `${revision}`.repeat(12), stamp, new Date(0)),
})

test('the higher revision is the one to keep, and of two of the same revision one and the same everywhere', () => {
  assert.equal(isNewer(version(2, 'a'), version(1, 'b')), true)
  assert.equal(isNewer(version(1, 'b'), version(2, 'a')), false)
  assert.equal(isNewer(version(1, 'b'), version(1, 'a')), true)
  assert.equal(isNewer(version(1, 'a'), version(1, 'b')), false)
  assert.equal(isNewer(version(1, 'a'), version(1, 'a')), false)
})

function eventOf(text: string): unknown[] {
  const shape = z.object({
    eventName: z.string(),
    awsRegion: z.string(),
    recipientAccountId: z.string(),
    userIdentity: z.object({ arn: z.string() }),
  })
  const { eventName, awsRegion, recipientAccountId, userIdentity } = shape.parse(JSON.parse(text))
  return [eventName, awsRegion, recipientAccountId, userIdentity.arn]
}

describe('two regions', { timeout: 120_000 }, () => {
  let dir: string
  let fresh: FreshDatabase[]
  let here: Database
  let there: Database
  const running: Region[] = []
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'level-'))
    fresh = [await freshDatabase(), await freshDatabase()]
    const [one, other] = fresh.map(({ url }) => openDatabase({ url }))
    assert.ok(one && other)
    here = one
    there = other
  })
  after(async () => {
    for (const region of running) await region.stop({ leaveHsms: false })
    await Promise.all([here.close(), there.close()])
    await Promise.all(fresh.map((each) => each.drop()))
    await rm(dir, { recursive: true, force: true })
  })

  /** As `strongroom region` starts it. */
  async function start(region: string, databaseUrl: string | undefined, peers: Peers): Promise<Region> {
    const any = { host: '127.0.0.1', port: 0 }
    const settings = regionSettings.parse({
      ...{ region, databaseUrl, peers, data: dir, roles: ['jobs'], listen: any, peerListen: any },
      knownRegions: [HERE, THERE],
      zones: [`${region}a`],
      accounts: [],
    })
    const started = await startRegion(settings, log, assert.ifError)
    running.push(started)
    return started
  }

  test('one that starts takes over the newer accounts of another, and keeps its own where they are newer', async () => {
    await here.read.identity.replace(version(3, 'here'), new Date())
    await there.read.identity.replace(version(5, 'there'), new Date())
    const { peerPort = 0 } = await start(THERE, fresh[1]?.url, {})
    await start(HERE, fresh[0]?.url, { [THERE]: { host: '127.0.0.1', port: peerPort } })
    await untilTrue(async () => (await here.read.identity.version()).revision === 5, {
      seconds: 60,
      what: () => 'the accounts are as old as before',
    })
    assert.deepEqual(await here.read.identity.load(), version(5, 'there'))
    assert.deepEqual(await there.read.identity.load(), version(5, 'there'))
    const events = (await trailRows(here.sql, { first: 'oldest', limit: 10 })).map(({ event }) => eventOf(event))
    assert.deepEqual(events, [
      ['CloseAccount', HERE, '333333333333', `arn:strongroom:region::${THERE}`],
      ['CreateAccount', HERE, '555555555555', `arn:strongroom:region::${THERE}`],
    ])
    assert.deepEqual(await trailRows(there.sql, { first: 'oldest', limit: 10 }), [])
  })

  test('what was changed meanwhile is not overwritten by an answer that was newer when it was given', async () => {
    await here.read.identity.replace(version(5, 'here'), new Date())
    const peers: AccountPeers = {
      known: [THERE],
      newerAccounts: async () => {
        await here.read.identity.replace(version(7, 'changed'), new Date())
        return version(6, 'there')
      },
    }
    assert.equal(await levelWith({ region: HERE, database: here, peers, log }, THERE), false)
    assert.equal((await here.read.identity.version()).revision, 7)
  })
})
