import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { Client } from 'pg'
import { invalidRequest } from '../../provider-schema/errors.ts'
import { purgeTrail, trailRows } from '../../state/audit.ts'
import { openDatabase } from '../../state/database.ts'
import { testServer } from '../../test/support/database.ts'
import { testApi, type TestApi } from '../testing/api.ts'
import { SUBNETS } from '../testing/fixtures.ts'
import type { Call } from './event.ts'
import { openRecorder, type Recorder } from './recorder.ts'

let api: TestApi
let recorder: Recorder | undefined
const lines: string[] = []
const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) })
before(async () => {
  api = await testApi({ trail: { record: (call) => recorder?.record(call) } })
  recorder = openRecorder({ region: 'us-east-1', database: api.database, log, reads: true })
})
after(async () => {
  await recorder?.stop()
  await api.close()
})

type Event = Record<string, unknown>
const eventsOf = async (criteria: { operation?: string; resource?: string } = {}) => {
  const rows = await trailRows(api.database.sql, { ...criteria, first: 'oldest', limit: 1_000 })
  return rows.map((row) => JSON.parse(row.event) as Event)
}
const eventually = async <Value>(look: () => Promise<Value | undefined>): Promise<Value> => {
  for (let i = 0; i < 400; i++) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(50)
  }
  throw new Error('it did not come about')
}
const eventOf = (requestId: string | null) =>
  eventually(async () => (await eventsOf()).find((event) => event['requestID'] === requestId))

describe('the trail', () => {
  test("has a change in CloudTrail's shape, at once and with its rows", async () => {
    const reply = await api.call(
      'CreateCluster',
      { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS, TagList: [{ Key: 'Owner', Value: 'me' }] },
      { headers: { 'user-agent': 'aws-cli/2.0' } },
    )
    const { ClusterId } = (reply.body as { Cluster: { ClusterId: string } }).Cluster
    const [event, ...others] = await eventsOf({ resource: ClusterId })
    assert.ok(event)
    assert.equal(others.length, 0)
    const { eventTime, eventID, responseElements, ...rest } = event
    assert.deepEqual(rest, {
      eventVersion: '1.11',
      userIdentity: {
        type: 'IAMUser',
        principalId: 'test',
        arn: 'arn:aws:iam::000000000000:user/test',
        accountId: '000000000000',
        accessKeyId: 'test',
        userName: 'test',
      },
      eventSource: 'cloudhsm.amazonaws.com',
      eventName: 'CreateCluster',
      awsRegion: 'us-east-1',
      sourceIPAddress: '127.0.0.1',
      userAgent: 'aws-cli/2.0',
      requestParameters: {
        hsmType: 'hsm2m.medium',
        subnetIds: SUBNETS,
        tagList: [{ key: 'Owner', value: 'me' }],
      },
      requestID: reply.headers.get('x-amzn-requestid'),
      readOnly: false,
      resources: [
        {
          accountId: '000000000000',
          type: 'AWS::CloudHSM::Cluster',
          ARN: `arn:aws:cloudhsm:us-east-1:000000000000:cluster/${ClusterId}`,
        },
      ],
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: '000000000000',
      eventCategory: 'Management',
    })
    assert.match(String(eventTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.match(String(eventID), /^[0-9a-f-]{36}$/)
    const { cluster } = responseElements as { cluster: Event }
    assert.equal(cluster['clusterId'], ClusterId)
    assert.match(String(cluster['createTimestamp']), /^[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M$/)
  })

  test('has a change together with its rows or not at all', async () => {
    await api.database.pool.query(
      `create function boom() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
       create trigger boom before insert on audit for each row when (new.operation = 'TagResource') execute function boom()`,
    )
    const [created] = await eventsOf({ operation: 'CreateCluster' })
    const { cluster } = created?.['responseElements'] as { cluster: { clusterId: string } }
    const tag = { ResourceId: cluster.clusterId, TagList: [{ Key: 'k', Value: 'v' }] }
    assert.equal((await api.call('TagResource', tag)).status, 500)
    const { TagList } = await api.ask('ListTags', { ResourceId: cluster.clusterId })
    assert.deepEqual(TagList, [{ Key: 'Owner', Value: 'me' }])
    await api.database.pool.query('drop trigger boom on audit')
  })

  test('has refusals with code and text, and names what they were about', async () => {
    const ClusterId = 'cluster-aaaaaaaaaaa'
    const reply = await api.call('DeleteCluster', { ClusterId })
    const event = await eventOf(reply.headers.get('x-amzn-requestid'))
    assert.equal(event['errorCode'], 'CloudHsmResourceNotFoundException')
    assert.equal(event['errorMessage'], reply.body['Message'])
    assert.deepEqual(event['requestParameters'], { clusterId: ClusterId })
    assert.equal(event['responseElements'], null)
    assert.equal(event['readOnly'], false)
    assert.equal((await eventsOf({ resource: ClusterId })).length, 1)
  })

  test('has reads, without what they showed', async () => {
    const reply = await api.call('DescribeClusters', { Filters: { states: ['ACTIVE'] } })
    const event = await eventOf(reply.headers.get('x-amzn-requestid'))
    assert.equal(event['readOnly'], true)
    assert.equal(event['responseElements'], null)
    assert.deepEqual(event['requestParameters'], { filters: { states: ['ACTIVE'] } })
  })

  test('leaves out who is nobody known or proves nothing, as AWS does', async () => {
    const ids = await Promise.all(
      [{ accessKeyId: 'nobody' }, { secret: 'wrong' }].map(async (as) => {
        const reply = await api.call('DescribeClusters', {}, as)
        assert.equal(reply.status, 400)
        return reply.headers.get('x-amzn-requestid')
      }),
    )
    const last = await api.call('DescribeClusters')
    await eventOf(last.headers.get('x-amzn-requestid'))
    assert.ok((await eventsOf()).every((event) => !ids.includes(String(event['requestID']))))
  })

  test('shortens what is long and leaves out what is too large', async () => {
    const long = await api.call('InitializeCluster', {
      ClusterId: 'cluster-aaaaaaaaaaa',
      SignedCert: 'A'.repeat(4_000),
      TrustAnchor: 'B'.repeat(4_000),
    })
    const { requestParameters } = await eventOf(long.headers.get('x-amzn-requestid'))
    const { signedCert } = requestParameters as { signedCert: string }
    assert.ok(signedCert.length < 600)
    assert.match(signedCert, /^A+… \(4000 characters\)$/)
    const keys = Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`member${n}`, 'x'.repeat(64)]))
    const large = await api.call('DescribeClusters', keys)
    const event = await eventOf(large.headers.get('x-amzn-requestid'))
    assert.deepEqual(event['requestParameters'], { omitted: 'too large for the trail' })
  })

  for (const [what, statement] of [
    ['changed', "update audit set operation = 'Nothing'"],
    ['removed', 'delete from audit'],
    ['truncated', 'truncate audit'],
    ['removed as a replica would', "set local session_replication_role = 'replica'; delete from audit"],
  ] as const) {
    test(`cannot be ${what}: the database refuses it`, async () => {
      const before = await eventsOf()
      assert.ok(before.length > 0)
      await assert.rejects(api.database.pool.query(`begin; ${statement}; commit`), /the trail is append-only/)
      await api.database.pool.query('rollback')
      assert.deepEqual((await eventsOf()).slice(0, before.length), before)
    })
  }

  test('lets go of what is older than it is to be kept, and never of what is younger than 90 days', async () => {
    const append = (days: number) =>
      api.database.pool.query(
        `insert into audit (at, request_id, account, principal, operation, event)
         values (now() - make_interval(days => $1), $2, '000000000000', 'p', 'Old', '{}')`,
        [days, `old-${days}`],
      )
    for (const days of [89, 91, 200]) await append(days)
    const left = async () => {
      const { rows } = await api.database.pool.query<{ id: string }>(
        "select request_id as id from audit where operation = 'Old' order by at",
      )
      return rows.map((row) => row.id)
    }
    assert.equal(await purgeTrail(api.database.sql, 100), 1)
    assert.deepEqual(await left(), ['old-91', 'old-89'])
    assert.equal(await purgeTrail(api.database.sql, 1), 1)
    assert.deepEqual(await left(), ['old-89'])
  })
})

describe('the recorder', () => {
  const call = (n: number): Call => ({
    operation: 'DescribeClusters',
    service: 'cloudhsm',
    region: 'us-east-1',
    caller: {
      ...{ account: '000000000000', principalArn: 'arn:aws:iam::000000000000:root', accessKeyId: 'a' },
      ...{ requestId: `wait-${n}`, sourceIp: undefined },
    } as Call['caller'],
    at: new Date(),
    request: {},
  })
  const url = () => api.database.pool.options.connectionString ?? ''

  test('waits while the database is away; what does not fit is counted, logged and told in the trail', async () => {
    const name = new URL(url()).pathname.slice(1)
    const admin = new Client({ connectionString: await testServer() })
    await admin.connect()
    await admin.query(`alter database ${name} allow_connections false`)
    const database = openDatabase({ url: url(), connections: 2 })
    const waiting = openRecorder({ region: 'us-east-1', database, log, reads: true, mostWaiting: 20 })
    for (let n = 0; n < 25; n++) waiting.record(call(n))
    assert.deepEqual([waiting.waiting, waiting.lost], [20, 5])
    await eventually(async () => {
      await Promise.resolve()
      return lines.find((line) => line.includes('the trail cannot be written'))
    })
    await admin.query(`alter database ${name} allow_connections true`)
    await admin.end()
    const gap = await eventually(async () => (await eventsOf({ operation: 'TrailGap' }))[0])
    assert.equal((gap['serviceEventDetails'] as Event)['lost'], 5)
    const written = (await eventsOf()).filter((event) => String(event['requestID']).startsWith('wait-'))
    assert.equal(written.length, 20)
    assert.ok(lines.some((line) => line.includes('the trail lost events') && line.includes('"lost":5')))
    await waiting.stop()
    await database.close()
  })

  test('leaves out what the database never takes, says so, and writes the rest', async () => {
    await api.database.pool.query(
      `create function never() returns trigger language plpgsql as $$ begin raise 'no' using errcode = '22000'; end $$;
       create trigger never before insert on audit for each row when (new.request_id = 'wait-2005') execute function never()`,
    )
    const patient = openRecorder({ region: 'us-east-1', database: api.database, log, reads: true })
    for (let n = 2_000; n < 2_010; n++) patient.record(call(n))
    await patient.stop()
    assert.equal(patient.lost, 1)
    assert.ok(lines.some((line) => line.includes('does not take an event') && line.includes('wait-2005')))
    const { rows } = await api.database.pool.query<{ n: number }>(
      "select count(*)::int as n from audit where request_id ~ '^wait-20'",
    )
    assert.equal(rows[0]?.n, 9)
  })

  test('has a refusal at once, and with it all that waits; reads wait for more of their kind', async () => {
    const hour = 3_600_000
    const slow = openRecorder({ region: 'us-east-1', database: api.database, log, reads: true, pauseMs: hour })
    const error = invalidRequest('no')
    slow.record(call(3_000))
    for (let n = 3_001; n < 3_004; n++) slow.record({ ...call(n), error })
    const written = () => eventsOf().then((all) => all.map((event) => String(event['requestID'])))
    await eventually(async () => ((await written()).includes('wait-3003') ? true : undefined))
    slow.record({ ...call(3_004), error })
    await eventually(async () => ((await written()).includes('wait-3004') ? true : undefined))
    // What is in the database may not yet be known here to be: the answer of Postgres is on its way.
    await eventually(() => Promise.resolve(slow.waiting === 0 ? true : undefined))
    slow.record(call(3_005))
    assert.deepEqual([slow.waiting, (await written()).includes('wait-3000')], [1, true])
    await slow.stop()
    assert.ok((await written()).includes('wait-3005'))
  })

  test('writes what waits when it is stopped, and reads only when it is told to', async () => {
    const last = openRecorder({ region: 'us-east-1', database: api.database, log, reads: true })
    for (let n = 100; n < 700; n++) last.record(call(n))
    await last.stop()
    const silent = openRecorder({ region: 'us-east-1', database: api.database, log, reads: false })
    silent.record(call(1_000))
    await silent.stop()
    const { rows } = await api.database.pool.query<{ n: number }>(
      "select count(*)::int as n from audit where request_id ~ '^wait-[0-9]{3}$'",
    )
    assert.equal(rows[0]?.n, 600)
    assert.equal((await eventsOf()).filter((event) => event['requestID'] === 'wait-1000').length, 0)
  })
})
