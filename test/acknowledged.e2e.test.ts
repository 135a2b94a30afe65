/**
 * What the API has acknowledged is there afterwards, and transitions that were under way end by themselves within seconds,
 * when PostgreSQL or the region process is killed at any moment under a stream of writes.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CloudHSMV2 } from '@aws-sdk/client-cloudhsm-v2'
import { chanceOf } from './support/chance.ts'
import { createCluster, describeCluster, inState, untilCluster, withHsms, zoneOf } from './support/life-of-a-cluster.ts'
import { postgresPid, regionPid } from './support/processes.ts'
import { startProduct, type Product } from './support/product.ts'

const SEED = Number(process.env['STRONGROOM_KILL_SEED'] ?? 1)
const WRITERS = 4
const VICTIMS = { PostgreSQL: postgresPid, 'the region process': regionPid } as const
/** From the start of the transitions to the kill: within the first step, between later ones, near their end. */
const LONGEST_WAIT_MS = 900
const ROUNDS = 3
/** Far above what it takes, far below a step's deadline of minutes: who waits that long waits in vain. */
const RECOVERY_SECONDS = 30

/** One who writes ever higher numbers under one name, as fast as they are acknowledged. */
interface Writer {
  readonly name: string
  acknowledged: number
  tried: number
}

describe('a stream of writes under which something is killed', { timeout: 300_000 }, () => {
  let product: Product
  let aws: CloudHSMV2
  let tagged: string

  before(async () => {
    product = await startProduct()
    aws = product.aws()
    tagged = (await createCluster(aws)).ClusterId ?? ''
  })
  after(() => product.dispose())

  const chance = chanceOf(SEED)
  for (const [name, pidOf] of Object.entries(VICTIMS)) {
    for (let round = 0; round < ROUNDS; round += 1) {
      const waitMs = Math.round(chance() * LONGEST_WAIT_MS)
      test(`${name}, ${waitMs} ms after an HSM and a deletion were begun (seed ${SEED}, round ${round})`, async () => {
        const [growing, leaving] = [await createCluster(aws), await createCluster(aws)]
        const writers = Array.from({ length: WRITERS }, (_, i) => ({
          name: `${name[0] ?? ''}${round}-${i}`,
          acknowledged: 0,
          tried: 0,
        }))
        let over = false
        const isOver = () => over
        const streams = writers.map((writer) => stream(writer, isOver))
        const { Hsm } = await aws.createHsm({
          ClusterId: growing.ClusterId,
          AvailabilityZone: zoneOf(growing, 0),
        })
        await aws.deleteCluster({ ClusterId: leaving.ClusterId })
        await sleep(waitMs)
        process.kill(await pidOf(product), 'SIGKILL')
        const grown = await untilCluster(aws, growing.ClusterId ?? '', withHsms(1), RECOVERY_SECONDS)
        assert.equal(grown.Hsms?.[0]?.HsmId, Hsm?.HsmId)
        await untilCluster(aws, leaving.ClusterId ?? '', inState('DELETED'), RECOVERY_SECONDS)
        over = true
        await Promise.all(streams)
        const tags = new Map((await tagsOf(tagged)).map(({ Key, Value }) => [Key, Number(Value)]))
        for (const { name: key, acknowledged, tried } of writers) {
          const found = tags.get(key) ?? 0
          assert.ok(acknowledged > 0, `${key} wrote nothing`)
          assert.ok(found >= acknowledged && found <= tried, `${key}: ${acknowledged} acknowledged, ${found} there`)
        }
        await aws.untagResource({ ResourceId: tagged, TagKeyList: writers.map((writer) => writer.name) })
        await aws.deleteHsm({ ClusterId: growing.ClusterId, HsmId: Hsm?.HsmId ?? '' })
        await untilCluster(aws, growing.ClusterId ?? '', withHsms(0), RECOVERY_SECONDS)
        await aws.deleteCluster({ ClusterId: growing.ClusterId })
        assert.equal((await describeCluster(aws, tagged)).State, 'UNINITIALIZED')
      })
    }
  }

  async function stream(writer: Writer, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const value = writer.tried + 1
      writer.tried = value
      const done = await aws
        .tagResource({ ResourceId: tagged, TagList: [{ Key: writer.name, Value: String(value) }] })
        .then(
          () => true,
          () => false,
        )
      if (done) writer.acknowledged = value
      else await sleep(50)
    }
  }

  async function tagsOf(id: string) {
    const { TagList = [] } = await aws.listTags({ ResourceId: id })
    return TagList
  }
})
