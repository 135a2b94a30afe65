/** cluster mtls …, as a user types it, against a real HSM process. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { makeRequest } from '../../workers/hsm/identity/certificate.ts'
import { customerCa } from '../../workers/hsm/testing/pki.ts'
import { startCluster, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { toolHome } from './testing/tool.ts'

const ADMIN = { CLOUDHSM_ROLE: 'admin', CLOUDHSM_PIN: 'admin:adminpass1' }

describe('mTLS on the command line', () => {
  const tools = toolHome()
  const clients = customerCa('client-ca')
  let cluster: TestCluster
  const path = (name: string) => join(tools.home, name)
  const run = async (line: string) => {
    const { stdout } = await tools.cli(line.split(' '), { env: ADMIN })
    return JSON.parse(stdout) as { error_code: number; data: unknown }
  }
  const configure = async (...flags: string[]) => {
    const { code, stderr } = await tools.configure(flags)
    assert.equal(code, 0, stderr)
  }

  before(async () => {
    cluster = await startCluster()
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    writeFileSync(path('customerCA.crt'), cluster.customer.certificate)
    writeFileSync(path('anchor.crt'), clients.certificate)
    writeFileSync(path('client.crt'), clients.signRequest(makeRequest({ subject: [['CN', 'app']], key })))
    writeFileSync(path('client.key'), key.export({ format: 'pem', type: 'pkcs8' }))
    await configure('-a', cluster.first.config.address, '--hsm-ca-cert', path('customerCA.crt'))
    assert.equal((await run('cluster activate --password adminpass1')).error_code, 0)
  })
  after(async () => {
    await cluster.first.dispose()
    tools[Symbol.dispose]()
  })

  test('an anchor is registered and listed in the JSON of AWS', async () => {
    const anchor = {
      'certificate-reference': '0x01',
      certificate: clients.certificate,
      'cluster-coverage': 'full',
    }
    const registered = await run(`cluster mtls register-trust-anchor --path ${path('anchor.crt')}`)
    assert.deepEqual(registered, { error_code: 0, data: { trust_anchor: anchor } })
    const listed = await run('cluster mtls list-trust-anchors')
    assert.deepEqual(listed, { error_code: 0, data: { trust_anchors: [anchor] } })
    assert.deepEqual(await run('cluster mtls get-enforcement'), {
      error_code: 0,
      data: { 'mtls-enforcement-level': 'none' },
    })
  })

  test('it is enforced with the client certificate that configure-cli was told, and not without', async () => {
    const without = await run('cluster mtls set-enforcement --level cluster')
    assert.equal(without.error_code, 1)
    assert.match(String(without.data), /over a connection with mTLS only/)
    await configure('--client-cert-hsm-tls-file', path('client.crt'))
    assert.match(
      String((await run('user list')).data),
      /certificate and no key: configure-cli --client-key-hsm-tls-file/,
    )
    await configure('--client-key-hsm-tls-file', path('client.key'))
    assert.deepEqual(await run('cluster mtls set-enforcement --level cluster'), {
      error_code: 0,
      data: { message: 'Mtls enforcement level set to Cluster successfully' },
    })
    assert.equal((await run('user list')).error_code, 0)
    await assert.rejects(cluster.first.client(cluster.customer.certificate), { name: 'ConnectionLost' })
  })

  test('it is ended again, and the anchor deregistered', async () => {
    assert.deepEqual(await run('cluster mtls set-enforcement --level none'), {
      error_code: 0,
      data: { message: 'Mtls enforcement level set to None successfully' },
    })
    assert.deepEqual(await run('cluster mtls deregister-trust-anchor --certificate-reference 0x01'), {
      error_code: 0,
      data: { message: 'Trust anchor with reference 0x01 deregistered successfully' },
    })
    assert.deepEqual(await run('cluster mtls list-trust-anchors'), { error_code: 0, data: { trust_anchors: [] } })
  })

  test('what cannot be is refused with its reason', async () => {
    assert.match(String((await run('cluster mtls register-trust-anchor --path /nowhere')).data), /cannot read the cert/)
    assert.match(
      String((await run(`cluster mtls register-trust-anchor --path ${path('client.crt')}`)).data),
      /not of a certificate authority/,
    )
    const unknown = await run('cluster mtls deregister-trust-anchor --certificate-reference 7')
    assert.match(String(unknown.data), /no trust anchor with the reference 7/)
    assert.match(String((await run('cluster mtls set-enforcement --level always')).data), /Allowed choices/)
  })
})
