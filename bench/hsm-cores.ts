/**
 * RSA-2048 signatures by a cluster with as many HSMs as there are cores, each on a core of its own, against one of them
 * alone. The load runs on the same cores: it costs them about a fiftieth.
 */
import { cpus } from 'node:os'
import { startCluster, startHsmProcess } from '../workers/hsm/testing/process.ts'
import { join } from './support/grow.ts'
import { asHsmOn, benchUser, rateOf } from './support/hsm-load.ts'
import { median, report } from './support/report.ts'

const ROUNDS = 5
const SECONDS = 2

const cores = cpus().length
const cluster = await startCluster({ prefix: asHsmOn(0) })
const hsms = [cluster.first]
try {
  for (let core = 1; core < cores; core += 1) {
    const next = await startHsmProcess({ pki: cluster.pki, prefix: asHsmOn(core) })
    hsms.push(next)
    await join(cluster, hsms.slice(0, core), next)
  }
  const client = await benchUser(cluster)
  const { privateKey } = await client.call('key-generate-rsa', {
    modulusBits: 2048,
    publicExponent: 65537,
    publicAttributes: {},
    privateAttributes: { sign: true },
    requireTwoCopies: hsms.length > 1,
  })
  await client.close()
  const params = {
    handle: privateKey.handle,
    mechanism: { name: 'rsa-pkcs', hash: 'sha256' },
    data: Buffer.from('pay 100 EUR'),
    requireTwoCopies: hsms.length > 1,
  }
  const rate = async (hsm: (typeof hsms)[number]) =>
    (await rateOf({ ...cluster, first: hsm }, 'sign', params, SECONDS)).perSecond
  const alone: number[] = []
  const together: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const hsm of hsms) alone.push(await rate(hsm))
    const rates = await Promise.all(hsms.map(rate))
    together.push(rates.reduce((sum, each) => sum + each, 0))
  }
  report(`RSA-2048 signatures over TLS by ${cores} HSMs of one cluster on ${cores} cores`, [
    {
      what: `${cores} HSMs at once`,
      ours: median(together),
      unit: '/s',
      peer: { name: 'one of them alone', value: median(alone) },
      bar: `≥ ${(0.9 * cores).toFixed(1)}`,
    },
  ])
} finally {
  await Promise.all(hsms.map((hsm) => hsm.dispose()))
}
