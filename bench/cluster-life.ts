/** From CreateCluster to an ACTIVE cluster by API, without pacing; and a second HSM; medians over several clusters. */
import { createClient } from '../clients/sdk/client.ts'
import {
  addHsm,
  createCluster,
  customerCa,
  inState,
  initialize,
  untilCluster,
} from '../test/support/life-of-a-cluster.ts'
import { startProduct } from '../test/support/product.ts'
import { median, report } from './support/report.ts'

const ROUNDS = 3

const product = await startProduct()
const ca = await customerCa()
const times: Record<'created' | 'firstHsm' | 'initialised' | 'activated' | 'inAll' | 'secondHsm', number[]> = {
  created: [],
  firstHsm: [],
  initialised: [],
  activated: [],
  inAll: [],
  secondHsm: [],
}

/** Seconds that a piece of work takes. */
async function timed<Result>(into: number[], work: () => Promise<Result>): Promise<Result> {
  const began = performance.now()
  const result = await work()
  into.push((performance.now() - began) / 1000)
  return result
}

try {
  const aws = product.aws()
  for (let round = 0; round < ROUNDS; round += 1) {
    const began = performance.now()
    const cluster = await timed(times.created, () => createCluster(aws))
    const id = cluster.ClusterId ?? ''
    const { Hsms = [] } = await timed(times.firstHsm, () => addHsm(aws, id))
    await timed(times.initialised, () => initialize(aws, id, ca))
    await timed(times.activated, async () => {
      const client = await createClient({
        servers: [{ hostname: Hsms[0]?.EniIp ?? '', port: 2223 }],
        caFile: ca.certificateFile,
        requireTwoCopies: false,
      })
      await client.activate('adminpass1')
      await client.close()
      await untilCluster(aws, id, inState('ACTIVE'))
    })
    times.inAll.push((performance.now() - began) / 1000)
    await timed(times.secondHsm, () => addHsm(aws, id, 1))
  }
} finally {
  await product.dispose()
  await ca.dispose()
}

const row = (what: string, seconds: readonly number[], bar?: string) => ({
  what,
  ours: median(seconds),
  unit: 's',
  ...(bar ? { bar } : {}),
})
report('From CreateCluster to ACTIVE by API (AWS: about 20 minutes; control-plane reference §2.1)', [
  row('CreateCluster → UNINITIALIZED', times.created),
  row('CreateHsm → ACTIVE', times.firstHsm),
  row('InitializeCluster → INITIALIZED', times.initialised),
  row('activate → ACTIVE shown', times.activated),
  row('all of it', times.inAll, '< 3 s'),
  row('second HSM → ACTIVE', times.secondHsm),
])
