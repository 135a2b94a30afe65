/**
 * What else people wait for, by one HSM on one core: bulk encryption against `openssl speed`, key generation and ML-DSA
 * against node:crypto alone on the same core (the `openssl` program of most systems has no ML-DSA yet), login against its
 * scrypt.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { startCluster } from '../workers/hsm/testing/process.ts'
import {
  asHsm,
  benchUser,
  latenciesOf,
  leaveHsmCore,
  onHsmCore,
  opensslSpeed,
  PASSWORD,
  rateOf,
  whereItRuns,
} from './support/hsm-load.ts'
import { median, report, type Row } from './support/report.ts'

const ROUNDS = 3
const SECONDS = 1
/** The published cap of AES-GCM is a little below 16 KiB (data-plane reference §4). */
const SIZES = [1024, 16_224] as const

leaveHsmCore()
const cluster = await startCluster({ prefix: asHsm, mode: 'FIPS' })
try {
  const client = await benchUser(cluster)
  const one = { requireTwoCopies: false }
  const rows: Row[] = []

  const { key } = await client.call('key-generate-aes', { lengthBytes: 32, attributes: { encrypt: true }, ...one })
  for (const size of SIZES) {
    const params = {
      handle: key.handle,
      mechanism: { name: 'aes-gcm', tagBits: 128 },
      data: Buffer.alloc(size),
      ...one,
    }
    const ours: number[] = []
    const peer: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      peer.push(
        (await opensslSpeed(['-bytes', String(size), '-evp', 'aes-256-gcm'], /^\+F:.*:([\d.]+)$/m, SECONDS)) / size,
      )
      ours.push((await rateOf(cluster, 'encrypt', params, SECONDS)).perSecond)
    }
    rows.push({
      what: `AES-256-GCM encrypt, ${size} bytes`,
      ours: median(ours),
      unit: '/s',
      peer: { name: 'openssl speed -evp aes-256-gcm', value: median(peer) },
    })
  }

  const pair = { publicAttributes: {}, privateAttributes: { sign: true }, ...one }
  const mlDsa = await client.call('key-generate-ml-dsa', { parameterSet: 'ML-DSA-65', ...pair })
  const signing = {
    handle: mlDsa.privateKey.handle,
    mechanism: { name: 'ml-dsa' },
    data: Buffer.from('pay 100 EUR'),
    ...one,
  }
  const signatures: number[] = []
  const alone: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    alone.push(
      await nodeAlone(`sign(null, Buffer.from('pay 100 EUR'), key)`, `generateKeyPairSync('ml-dsa-65').privateKey`),
    )
    signatures.push((await rateOf(cluster, 'sign', signing, SECONDS)).perSecond)
  }
  rows.push({
    what: 'ML-DSA-65 sign',
    ours: median(signatures),
    unit: '/s',
    peer: { name: 'node:crypto alone', value: median(alone) },
  })

  const generating = [
    {
      what: 'RSA-2048 key pair, made and kept',
      count: 20,
      ask: () => client.call('key-generate-rsa', { modulusBits: 2048, publicExponent: 65537, ...pair }),
      alone: `generateKeyPairSync('rsa', { modulusLength: 2048 })`,
    },
    {
      what: 'P-256 key pair, made and kept',
      count: 200,
      ask: () => client.call('key-generate-ec', { curve: 'prime256v1', ...pair }),
      alone: `generateKeyPairSync('ec', { namedCurve: 'P-256' })`,
    },
    {
      what: 'AES-256 key, made and kept',
      count: 200,
      ask: () => client.call('key-generate-aes', { lengthBytes: 32, attributes: {}, ...one }),
      alone: `createSecretKey(randomBytes(32))`,
    },
  ]
  for (const { what, count, ask, alone: work } of generating) {
    const times = await latenciesOf(count, ask)
    const mean = times.reduce((sum, ms) => sum + ms, 0) / count
    rows.push({
      what,
      ours: mean,
      unit: 'ms',
      peer: { name: 'node:crypto alone', value: 1000 / (await nodeAlone(work)) },
    })
  }

  const second = await cluster.first.client(cluster.customer.certificate)
  const logins = await latenciesOf(5, async () => {
    await second.call('login', { username: 'bench', role: 'crypto-user', password: PASSWORD })
    await second.call('logout', {})
  })
  const scrypt = `scryptSync('${PASSWORD}', Buffer.alloc(16), 32, { N: 16_384, r: 8, p: 1, maxmem: 2 ** 28 })`
  rows.push({
    what: 'login and logout (slow on purpose: scrypt)',
    ours: median(logins),
    unit: 'ms',
    peer: { name: 'the scrypt of node:crypto alone', value: 1000 / (await nodeAlone(scrypt)) },
  })
  await second.close()
  await client.close()
  console.log(whereItRuns)
  report('One HSM over TLS', rows)
} finally {
  await cluster.first.dispose()
}

/** How often an expression over node:crypto runs in a second, in a process of its own on the HSM's core. */
async function nodeAlone(expression: string, key = 'undefined'): Promise<number> {
  const code = `
    import { createSecretKey, generateKeyPairSync, randomBytes, scryptSync, sign } from 'node:crypto'
    const key = ${key}
    for (let i = 0; i < 20; i++) ${expression}
    const end = performance.now() + ${SECONDS * 1000}
    let done = 0
    while (performance.now() < end) { ${expression}; done += 1 }
    console.log(done / ${SECONDS})`
  const [program, ...args] = [...onHsmCore, process.execPath, '--input-type=module', '--eval', code]
  const { stdout } = await promisify(execFile)(program, args)
  return Number(stdout)
}
