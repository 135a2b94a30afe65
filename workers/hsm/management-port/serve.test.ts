import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import { test } from 'node:test'
import { makeCertificate } from '../identity/certificate.ts'
import { ConnectionLost } from '../protocol/errors.ts'
import { managementOperations } from '../protocol/management-operations.ts'
import { customerCa, fleetPki, type TlsCredentials } from '../testing/pki.ts'
import { partialHsm } from './testing/partial-hsm.ts'

const founding = { clusterId: 'cluster-1', mode: 'FIPS', hsmType: 'hsm2m.medium' } as const

test('an HSM goes from blank to founded to initialized, and each step may be repeated', async (t) => {
  const { hsm, connect, alone } = await partialHsm(t)
  const control = await connect()
  assert.deepEqual(
    await control.call('health', {}).then(({ phase, membershipEpoch, hsmId }) => ({ phase, membershipEpoch, hsmId })),
    { phase: 'blank', membershipEpoch: 0, hsmId: 'hsm-1' },
  )

  const [made, once] = await Promise.all([
    control.call('found', { ...founding, membership: alone() }),
    control.call('found', { ...founding, membership: alone() }),
  ])
  assert.deepEqual(once, made)
  assert.deepEqual(await control.call('found', { ...founding, membership: alone() }), made)
  const founded = await control.call('health', {})
  assert.deepEqual([founded.phase, founded.clusterId, founded.membershipEpoch], ['founded', 'cluster-1', 1])

  const ca = customerCa()
  const certificates = { clusterCertificate: ca.signRequest(made.csr), trustAnchor: ca.certificate }
  await control.call('install-certificate', certificates)
  await control.call('install-certificate', certificates)
  assert.equal((await control.call('health', {})).phase, 'initialized')
  assert.equal(hsm.identity.clientTls?.cert, certificates.clusterCertificate)
})

test('an HSM of one cluster does not found another', async (t) => {
  const { connect, alone } = await partialHsm(t)
  const control = await connect()
  await control.call('found', { ...founding, membership: alone() })
  await assert.rejects(
    control.call('found', { ...founding, clusterId: 'cluster-2', membership: alone(2, 'cluster-2') }),
    { code: 'WrongState' },
  )
  assert.equal((await control.call('health', {})).clusterId, 'cluster-1')
})

test('a certificate that does not fit changes nothing; one may be replaced until the cluster is active', async (t) => {
  const { hsm, connect, alone } = await partialHsm(t)
  const control = await connect()
  const ca = customerCa()
  await assert.rejects(
    control.call('install-certificate', { clusterCertificate: ca.certificate, trustAnchor: ca.certificate }),
    { code: 'WrongState' },
  )
  const { csr } = await control.call('found', { ...founding, membership: alone() })
  const clusterCertificate = ca.signRequest(csr)
  await assert.rejects(
    control.call('install-certificate', { clusterCertificate, trustAnchor: customerCa().certificate }),
    { code: 'CertificateInvalid' },
  )
  assert.equal((await control.call('health', {})).phase, 'founded')
  const install = () =>
    control.call('install-certificate', { clusterCertificate: ca.signRequest(csr), trustAnchor: ca.certificate })
  await install()
  await install()
  await hsm.store.write([{ path: 'users/admin', value: new Uint8Array([1]) }])
  assert.equal((await control.call('health', {})).phase, 'active')
  await assert.rejects(install, { code: 'WrongState' })
})

test('a list of members counts only if the control plane signed it for this cluster, and only if it is newer', async (t) => {
  const { pki, hsm, connect, alone } = await partialHsm(t)
  const control = await connect()
  await control.call('found', { ...founding, membership: alone(5) })
  assert.deepEqual(await control.call('membership', alone(4)), { epoch: 5 })
  assert.deepEqual(await control.call('membership', alone(6)), { epoch: 6 })

  const two = [...hsm.membership.members, { hsmId: 'hsm-2', address: '127.0.0.2', eniIp: '10.0.0.2' }]
  const forged = pki.signMembership({ clusterId: 'cluster-1', epoch: 7, members: two })
  const signedBy = (by: TlsCredentials) => pki.signMembership({ clusterId: 'cluster-1', epoch: 7, members: two }, by)
  const refused = [
    { ...forged, signature: alone(7).signature },
    { ...forged, chain: pki.manufacturerCa.pem },
    signedBy({ key: hsm.device.tls.key, cert: hsm.device.tls.cert }),
    signedBy(fleetPki().control('jobs')),
    alone(7, 'cluster-2'),
  ]
  for (const membership of refused) {
    await assert.rejects(control.call('membership', membership), { code: 'PermissionDenied' })
  }
  assert.equal((await control.call('health', {})).membershipEpoch, 6)
  assert.equal(hsm.membership.includes('hsm-2'), false)
})

test('an HSM that is told to found or join another cluster refuses, and stays a member of its own', async (t) => {
  const { hsm, connect, alone } = await partialHsm(t)
  const control = await connect()
  await control.call('found', { ...founding, membership: alone(5) })
  const other = { clusterId: 'cluster-2', membership: alone(6, 'cluster-2') }
  await assert.rejects(control.call('found', { ...founding, ...other }), { code: 'WrongState' })
  await assert.rejects(control.call('join', other), { code: 'WrongState' })
  assert.equal(hsm.membership.clusterId, 'cluster-1')
  assert.equal(hsm.membership.epoch, 5)
})

test('a backup of which nothing arrived is not as it was announced: it may be sent anew', async (t) => {
  const { connect, alone } = await partialHsm(t)
  const control = await connect()
  const backupId = 'backup-1'
  await control.call('restore-begin', { backupId, size: 5, digest: 'ab' })
  await assert.rejects(control.call('restore-commit', { ...founding, backupId, membership: alone() }), {
    code: 'StorageFailed',
    message: /^the backup has 0 bytes instead of 5/,
  })
  assert.deepEqual(await control.call('restore-begin', { backupId, size: 5, digest: 'ab' }), { offset: 0 })
})

test('no operation is answered to a caller who is not of the control plane', async (t) => {
  const { pki, hsm, connect, port } = await partialHsm(t)
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const nameless = makeCertificate({
    subject: [['CN', 'nobody']],
    key,
    issuer: pki.controlCa.certificate,
    issuerKey: pki.controlCa.key,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 60_000),
    usage: ['digitalSignature'],
  })
  const strangers: Readonly<Record<string, Partial<TlsCredentials>>> = {
    'without a certificate': {},
    'another HSM': hsm.device.tls,
    'the control plane of another fleet': fleetPki().control('jobs'),
    'a certificate of the control CA that names nobody': {
      key: key.export({ format: 'pem', type: 'pkcs8' }),
      cert: nameless,
    },
  }
  for (const [who, stranger] of Object.entries(strangers)) {
    for (const op of Object.keys(managementOperations)) {
      await assert.rejects(
        async () => {
          const connection = await connect(stranger)
          // Nothing of a stranger's request is looked at, so its parameters do not matter.
          await connection.call(op as 'health', {})
        },
        ConnectionLost,
        `${op} by ${who}`,
      )
    }
  }
  await new Promise<void>((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n\r\n'))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
  })
  assert.equal((await (await connect()).call('health', {})).phase, 'blank')
})
