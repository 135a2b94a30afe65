import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { createClient } from '../clients/sdk/client.ts'
import {
  addHsm,
  createCluster,
  customerCa,
  inState,
  initialize,
  readyBackups,
  untilCluster,
} from './support/life-of-a-cluster.ts'
import { ROOT, startProduct, untilTrue } from './support/product.ts'

const REGIONS = ['us-east-1', 'eu-west-1']
const DAY_SECONDS = 24 * 3600
const shown = z.array(z.object({ region: z.string(), aheadSeconds: z.number(), rehearsal: z.boolean() }))

function clock(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(join(ROOT, 'bin/strongroom'), ['clock', ...args], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}

test(
  'a rehearsal moves the clock of all regions: backups are taken daily, kept for their days, and removed',
  { timeout: 300_000 },
  async (t) => {
    const args = ['--rehearsal', '--pace', '0.002']
    const first = await startProduct({ regions: REGIONS, flags: args })
    t.after(() => first.dispose())
    const data = ['--data', first.data]
    const ahead = async () => {
      const { stdout, stderr } = await clock('show', '--json', ...data)
      assert.equal(stderr, '')
      return shown.parse(JSON.parse(stdout)).map((each) => [each.region, each.aheadSeconds, each.rehearsal])
    }
    assert.deepEqual(await ahead(), [
      ['eu-west-1', 0, true],
      ['us-east-1', 0, true],
    ])

    const aws = first.aws()
    const ca = await customerCa()
    t.after(() => ca.dispose())
    const { ClusterId = '' } = await createCluster(aws)
    const { Hsms = [] } = await addHsm(aws, ClusterId)
    await initialize(aws, ClusterId, ca)
    const server = { hostname: Hsms[0]?.EniIp ?? '', port: 2223 }
    const client = await createClient({ servers: [server], caFile: ca.certificateFile, requireTwoCopies: false })
    await client.activate('adminpass1')
    await client.close()
    await untilCluster(aws, ClusterId, inState('ACTIVE'))
    const untilReady = (n: number) =>
      untilTrue(async () => (await readyBackups(aws, ClusterId)).length === n, {
        seconds: 60,
        what: () => `there are not ${n} READY backups`,
      })
    await untilReady(1)
    const [oldest] = await readyBackups(aws, ClusterId)
    const BackupId = oldest?.BackupId ?? ''
    const stateOf = async () => {
      const { Backups = [] } = await aws.describeBackups({ Filters: { backupIds: [BackupId] } })
      return Backups[0]?.BackupState
    }
    const untilState = (state: string) =>
      untilTrue(async () => (await stateOf()) === state, {
        seconds: 60,
        what: () => `the oldest backup is not ${state}`,
      })

    const moved = await clock('advance', '25h', ...data)
    assert.equal(moved.code, 0, moved.stderr)
    assert.match(moved.stdout, /us-east-1 .* 1d 1h ahead +can be moved/)
    await untilReady(2)

    await aws.modifyCluster({ ClusterId, BackupRetentionPolicy: { Type: 'DAYS', Value: '7' } })
    await clock('advance', '7d', ...data)
    await untilState('PENDING_DELETION')
    const file = join(first.data, 'regions/us-east-1/backups', BackupId)
    assert.ok((await stat(file)).size > 0)
    await clock('advance', '8d', ...data)
    await untilState('DELETED')
    await untilTrue(
      async () =>
        !(await stat(file).then(
          () => true,
          () => false,
        )),
      { seconds: 60, what: () => 'the bytes of the backup are still there' },
    )

    await first.stop()
    const second = await first.again([])
    t.after(() => second.dispose())
    const total = 16 * DAY_SECONDS + 3600
    assert.deepEqual(await ahead(), [
      ['eu-west-1', total, false],
      ['us-east-1', total, false],
    ])
    const refused = await clock('advance', '1h', ...data)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /eu-west-1, us-east-1 was not started with --rehearsal/)
    assert.match((await clock('advance', 'tomorrow', ...data)).stderr, /not a duration/)
    await second.stop()
    const none = await clock('show', ...data)
    assert.equal(none.code, 1)
    assert.match(none.stderr, /Nothing runs on/)
  },
)
