import assert from 'node:assert/strict'
import { once } from 'node:events'
import { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { testCa } from '../../sdk/testing/certificates.ts'
import { readConfig } from '../config.ts'
import { toolHome } from '../testing/tool.ts'

const ca = testCa()

function configured(home: string) {
  const config = readConfig(join(home, 'etc/cloudhsm-cli.cfg'))
  const cluster = config.clusters[0]?.cluster
  assert.ok(cluster)
  return { config, cluster }
}

function caFile(home: string): string {
  const file = join(home, 'customerCA.crt')
  writeFileSync(file, ca.certificate)
  return file
}

test('a first call writes the whole file, in the form of AWS', async () => {
  using tools = toolHome()
  const file = caFile(tools.home)
  const flags = ['-a', '127.0.10.1', '127.0.10.2', '--hsm-ca-cert', file, '--disable-key-availability-check']
  const { code, stdout } = await tools.configure(flags)
  assert.equal(code, 0)
  assert.match(stdout, /cloudhsm-cli\.cfg was written: HSMs at 127\.0\.10\.1, 127\.0\.10\.2/)
  assert.deepEqual(JSON.parse(readFileSync(join(tools.home, 'etc/cloudhsm-cli.cfg'), 'utf8')), {
    clusters: [
      {
        type: 'hsm1',
        cluster: {
          hsm_ca_file: file,
          servers: [
            { hostname: '127.0.10.1', port: 2223, enable: true },
            { hostname: '127.0.10.2', port: 2223, enable: true },
          ],
          options: { disable_key_availability_check: true },
        },
      },
    ],
    logging: { log_type: 'file', log_level: 'info', log_interval: 'never' },
  })
  assert.equal(statSync(join(tools.home, 'etc/cloudhsm-cli.cfg')).mode & 0o777, 0o644)
  assert.equal(statSync(join(tools.home, 'etc')).mode & 0o777, 0o755)
  assert.deepEqual(readdirSync(join(tools.home, 'etc')), ['cloudhsm-cli.cfg'], 'no draft is left')
})

test('a file keeps who may read it, a link stays one, an address is written once, and what cannot be used is refused', async () => {
  using tools = toolHome()
  const file = join(tools.home, 'etc/cloudhsm-cli.cfg')
  const elsewhere = join(tools.home, 'managed.cfg')
  mkdirSync(join(tools.home, 'etc'))
  writeFileSync(elsewhere, '{}', { mode: 0o600 })
  symlinkSync('../managed.cfg', file)
  assert.equal((await tools.configure(['-a', '127.0.10.1', '127.0.10.1'])).code, 0)
  assert.ok(lstatSync(file).isSymbolicLink())
  assert.equal(statSync(elsewhere).mode & 0o777, 0o600)
  assert.deepEqual(
    configured(tools.home).cluster.servers.map(({ hostname }) => hostname),
    ['127.0.10.1'],
  )
  assert.deepEqual(readdirSync(tools.home), ['etc', 'managed.cfg'], 'no draft is left')
  const { stderr } = await tools.configure(['--log-file', ''])
  assert.match(stderr, /--log-file names no file/)
  for (const key of [join(tools.home, 'none.key'), elsewhere]) {
    const refused = await tools.configure(['--client-key-hsm-tls-file', key])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /cannot be used as an unencrypted private key/)
  }
})

test('a later call changes only what it names, and keeps what it does not know', async () => {
  using tools = toolHome()
  mkdirSync(join(tools.home, 'etc'))
  const before = {
    clusters: [
      {
        type: 'hsm1',
        cluster: {
          cluster_id: 'cluster-aaaaaaaaaaa',
          hsm_ca_file: '/ca.crt',
          servers: [{ hostname: '10.0.0.9', port: 2223, enable: true }],
          options: { disable_key_availability_check: true, from_the_future: 1 },
        },
      },
    ],
    logging: { log_type: 'file', log_file: '/x.log', log_level: 'warn', log_interval: 'daily' },
    other: { kept: true },
  }
  writeFileSync(join(tools.home, 'etc/cloudhsm-cli.cfg'), JSON.stringify(before))
  assert.equal((await tools.configure(['--enable-key-availability-check', '--log-level', 'debug'])).code, 0)
  assert.equal((await tools.configure(['--default-retry-mode', 'off', '--log-rotation', 'hourly'])).code, 0)
  const after = structuredClone(before)
  const [entry] = after.clusters
  assert.ok(entry)
  Object.assign(entry.cluster.options, { disable_key_availability_check: false, default_retry_mode: 'off' })
  Object.assign(after.logging, { log_level: 'debug', log_interval: 'hourly' })
  assert.deepEqual(JSON.parse(readFileSync(join(tools.home, 'etc/cloudhsm-cli.cfg'), 'utf8')), after)

  assert.equal((await tools.configure(['-a', '10.0.0.10'])).code, 0)
  const { cluster } = configured(tools.home)
  assert.deepEqual(
    cluster.servers.map(({ hostname }) => hostname),
    ['10.0.0.10'],
  )
  assert.equal(cluster.cluster_id, undefined, 'the new address may be of another cluster')
  assert.equal(cluster.hsm_ca_file, '/ca.crt')
})

test('what cannot be is refused with the reason, and nothing is written', async () => {
  using tools = toolHome()
  writeFileSync(join(tools.home, 'not-a.crt'), 'hello')
  for (const [flags, reason] of [
    [['-a', '127.0.0.1', '--hsm-ca-cert', join(tools.home, 'missing.crt')], /missing\.crt .*ENOENT/],
    [['-a', '127.0.0.1', '--hsm-ca-cert', join(tools.home, 'not-a.crt')], /not-a\.crt .*no PEM certificate/],
    [['-a', 'no such host'], /neither an IP address nor a host name/],
    [['-a', '127.0.0.1', '--cluster-id', 'cluster-aaaaaaaaaaa'], /cannot be used with/],
    [['--disable-key-availability-check', '--enable-key-availability-check'], /cannot be used with/],
    [['--cluster-id', 'my-cluster'], /cluster-abcdefghijk/],
    [['--region', 'us-east-1'], /name it with --cluster-id/],
    [['--log-level', 'loud'], /Allowed choices are error, warn, info, debug, trace/],
    [['--colour', 'red'], /unknown option '--colour'/],
  ] as const) {
    const { code, stdout, stderr } = await tools.configure(flags)
    assert.equal(code, 1, flags.join(' '))
    assert.match(stderr, reason)
    assert.equal(stdout, '')
  }
  assert.deepEqual(readdirSync(tools.home), ['not-a.crt'])
})

test('a file that is not a configuration is refused, not replaced', async () => {
  using tools = toolHome()
  mkdirSync(join(tools.home, 'etc'))
  for (const text of ['{', '{"clusters": 1}']) {
    writeFileSync(join(tools.home, 'etc/cloudhsm-cli.cfg'), text)
    const { code, stderr } = await tools.configure(['-a', '127.0.0.1'])
    assert.equal(code, 1)
    assert.match(stderr, /cloudhsm-cli\.cfg is not/)
    assert.equal(readFileSync(join(tools.home, 'etc/cloudhsm-cli.cfg'), 'utf8'), text)
  }
})

test('a cluster id becomes the addresses of its active HSMs', async () => {
  using tools = toolHome()
  await using api = await controlPlane({
    'cluster-aaaaaaaaaaa': [
      { EniIp: '127.0.10.1', State: 'ACTIVE' },
      { EniIp: '127.0.10.2', State: 'CREATE_IN_PROGRESS' },
      {
        EniIp: '10.9.8.7',
        State: 'ACTIVE',
        StateMessage: 'HSM created. It listens on 127.0.10.3: this machine cannot bind 10.9.8.7.',
      },
    ],
    'cluster-bbbbbbbbbbb': [],
  })
  const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
  const lookUp = (id: string, ...flags: string[]) =>
    tools.configure(['--cluster-id', id, '--endpoint', api.url, ...flags], { env })
  assert.equal((await lookUp('cluster-aaaaaaaaaaa', '--region', 'eu-west-1')).code, 0)
  const { cluster } = configured(tools.home)
  assert.equal(cluster.cluster_id, 'cluster-aaaaaaaaaaa')
  assert.deepEqual(
    cluster.servers.map(({ hostname }) => hostname),
    ['127.0.10.1', '127.0.10.3'],
  )
  assert.equal(api.regions.at(-1), 'eu-west-1')
  assert.match((await lookUp('cluster-bbbbbbbbbbb')).stderr, /cluster-bbbbbbbbbbb has no active HSM/)
  assert.equal(api.regions.at(-1), 'us-east-1', 'without a region anywhere')
  assert.match((await lookUp('cluster-ccccccccccc')).stderr, /There is no cluster cluster-ccccccccccc at http:/)
  const nobody = ['--cluster-id', 'cluster-aaaaaaaaaaa', '--endpoint', 'http://127.0.0.1:1']
  assert.match((await tools.configure(nobody, { env })).stderr, /cannot ask http:\/\/127\.0\.0\.1:1.*ECONNREFUSED/)
  assert.equal(configured(tools.home).cluster.cluster_id, 'cluster-aaaaaaaaaaa', 'failures changed nothing')
})

/** Only DescribeClusters, because the real control plane is not the tools' to import; end-to-end tests use that one. */
async function controlPlane(clusters: Readonly<Record<string, readonly object[]>>) {
  const regions: string[] = []
  const question = z.object({ Filters: z.object({ clusterIds: z.array(z.string()) }) })
  const server = createServer((request, response) => {
    regions.push(/Credential=[^/]+\/[^/]+\/([^/]+)\//.exec(request.headers.authorization ?? '')?.[1] ?? 'none')
    let body = ''
    request.on('data', (text: Buffer) => (body += text.toString()))
    request.on('end', () => {
      const { clusterIds } = question.parse(JSON.parse(body)).Filters
      const found = clusterIds.flatMap((id) => {
        const Hsms = clusters[id]
        return Hsms ? [{ ClusterId: id, Hsms }] : []
      })
      response.setHeader('content-type', 'application/x-amz-json-1.1')
      response.end(JSON.stringify({ Clusters: found }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    url: `http://127.0.0.1:${address.port}`,
    regions,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
