/**
 * Signatures over TLS by one HSM process on one core, against `openssl speed` on the same core in the same run.
 *
 * Both count against the clock on the wall. Beside it stands what the HSM does in a second of its processor time. Rounds of
 * both are interleaved, and each figure is of the round whose ratio is the median: on a machine that others share a core is
 * a fifth slower in one second than in the next, which then falls on both alike.
 */
import { execFileSync } from 'node:child_process'
import { startCluster } from '../workers/hsm/testing/process.ts'
import {
  asHsm,
  benchUser,
  CONNECTIONS,
  leaveHsmCore,
  opensslSpeed,
  PIPELINED,
  rateOf,
  type Rate,
  whereItRuns,
} from './support/hsm-load.ts'
import { medianBy, report } from './support/report.ts'

const ROUNDS = 11
const SECONDS = 2

leaveHsmCore()
const cluster = await startCluster({ prefix: asHsm })
try {
  const client = await benchUser(cluster)
  const common = { publicAttributes: {}, privateAttributes: { sign: true }, requireTwoCopies: false }
  const rsa = await client.call('key-generate-rsa', { modulusBits: 2048, publicExponent: 65537, ...common })
  const ec = await client.call('key-generate-ec', { curve: 'prime256v1', ...common })
  await client.close()
  const data = Buffer.from('pay 100 EUR')
  const jobs = [
    {
      what: 'RSA-2048 sign (rsa-pkcs, sha256)',
      name: 'rsa2048',
      bar: '≥ 0.95',
      handle: rsa.privateKey.handle,
      mechanism: 'rsa-pkcs',
    },
    {
      what: 'ECDSA P-256 sign (sha256)',
      name: 'ecdsap256',
      bar: '≥ 0.6',
      handle: ec.privateKey.handle,
      mechanism: 'ecdsa',
    },
  ] as const
  const rounds = new Map<string, Round[]>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { name, handle, mechanism } of jobs) {
      const openssl = await opensslSignatures(name)
      const params = { handle, mechanism: { name: mechanism, hash: 'sha256' }, data, requireTwoCopies: false }
      const ours = await rateOf(cluster, 'sign', params, SECONDS)
      rounds.set(name, [...(rounds.get(name) ?? []), { openssl, ...ours }])
    }
  }
  const version = execFileSync('openssl', ['version'], { encoding: 'utf8' }).split(' ').slice(0, 2).join(' ')
  console.log(`The HSM signs with OpenSSL ${process.versions.openssl} (in Node); the peer is the program ${version}.`)
  console.log(whereItRuns)
  report(
    `HSM signatures over TLS, ${CONNECTIONS} connections of ${PIPELINED} pipelined requests`,
    jobs.flatMap(({ what, name, bar }) => {
      const { openssl, perSecond, perCpuSecond } = medianBy(
        rounds.get(name) ?? [],
        (round) => round.perSecond / round.openssl,
      )
      const peer = { name: `openssl speed -elapsed ${name}`, value: openssl }
      return [
        { what, ours: perSecond, unit: '/s', peer, bar },
        { what: `${what}, of CPU time`, ours: perCpuSecond, unit: '/CPU s', peer },
      ]
    }),
  )
} finally {
  await cluster.first.dispose()
}

interface Round extends Rate {
  readonly openssl: number
}

async function opensslSignatures(name: string): Promise<number> {
  const figure = await opensslSpeed([name], /^\+F[24]:\d+:\d+:([\d.e-]+):/m, SECONDS)
  // OpenSSL 3 prints signatures per second, older versions seconds per signature.
  return figure < 1 ? 1 / figure : figure
}
