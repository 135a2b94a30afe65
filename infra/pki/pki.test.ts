import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { newHsmId } from '../../provider-schema/ids.ts'
import { publishedAnchors } from './anchors.ts'
import { issueControl } from './control.ts'
import { loadDeviceIssuer } from './device.ts'
import { loadAuthority, openFleet, type Fleet } from './fleet.ts'
import { peerUri } from './names.ts'
import { deviceRequest } from './testing/device-request.ts'

const noOpenssl = spawnSync('openssl', ['version']).status === 0 ? false : 'there is no openssl program'

let dir: string
let fleet: Fleet

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'strongroom-pki-'))
  fleet = await openFleet(join(dir, 'fleet'))
})
after(() => rm(dir, { recursive: true, force: true }))

/** `openssl verify` with these anchors; throws with what it says when it does not verify. */
async function opensslVerify(anchors: string, certificate: string, untrusted = ''): Promise<void> {
  const files = { anchors, certificate, untrusted }
  for (const [name, pem] of Object.entries(files)) await writeFile(join(dir, `${name}.pem`), pem)
  const extra = untrusted === '' ? [] : ['-untrusted', 'untrusted.pem']
  execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', 'anchors.pem', ...extra, 'certificate.pem'], {
    cwd: dir,
    stdio: 'pipe',
  })
}

describe('a fleet', () => {
  test('is made once, and opened again as it was', async () => {
    const again = await openFleet(fleet.dir)
    assert.deepEqual(again, fleet)
    assert.equal((await readFile(fleet.backupKeyFile)).length, 32)
  })

  test('is one fleet when several processes make it at once', async () => {
    const place = join(dir, 'raced')
    const program = `
      const { openFleet } = await import(${JSON.stringify(new URL('fleet.ts', import.meta.url).href)})
      process.stdout.write((await openFleet(${JSON.stringify(place)})).root)`
    const roots = await Promise.all(
      [1, 2, 3].map(async () => {
        const { spawn } = await import('node:child_process')
        const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const [text] = await Promise.all([Array.fromAsync(child.stdout), once(child, 'exit')])
        return Buffer.concat(text as Buffer[]).toString()
      }),
    )
    assert.match(roots[0] ?? '', /BEGIN CERTIFICATE/)
    assert.equal(new Set(roots).size, 1)
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name.startsWith('raced')),
      ['raced'],
    )
  })

  test('keeps private keys from other users', async () => {
    for (const name of await readdir(fleet.dir)) {
      const { mode } = await stat(join(fleet.dir, name))
      assert.equal(mode & 0o777, name.endsWith('.pem') ? 0o644 : 0o600, name)
    }
    const file = join(fleet.dir, 'control-ca.key')
    await chmod(file, 0o604)
    await assert.rejects(loadAuthority(fleet, 'control-ca'), /open to every user.*chmod 600/)
    await chmod(file, 0o600)
  })

  test('that lacks a part is refused, and nothing is put in its place', async () => {
    const place = join(dir, 'torn')
    const whole = await openFleet(place)
    await rm(whole.backupKeyFile)
    await assert.rejects(openFleet(place), /backup\.key cannot be read; restore it/)
    await writeFile(whole.backupKeyFile, Buffer.alloc(7))
    await assert.rejects(openFleet(place), /7 bytes long, not 32/)
    await rm(join(place, 'provider-ca.pem'))
    await assert.rejects(openFleet(place), /provider-ca\.pem cannot be read/)
  })

  test('whose making was interrupted is made anew, and the draft with its keys removed', async () => {
    const place = join(dir, 'interrupted')
    // The id of a process that has ended.
    const { pid } = spawnSync('true')
    await mkdir(`${place}.new-${pid}`)
    await writeFile(join(`${place}.new-${pid}`, 'root.key'), 'half')
    await openFleet(place)
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name.startsWith('interrupted')),
      ['interrupted'],
    )
  })

  test('says that it is software without a FIPS certificate', () => {
    for (const pem of [fleet.root, fleet.manufacturerCa, fleet.providerCa, fleet.controlCa]) {
      const certificate = new X509Certificate(pem)
      assert.match(certificate.subject, /O=Strongroom\nOU=software - no FIPS certificate\nCN=Strongroom /)
      assert.ok(certificate.validToDate.getTime() > Date.now() + 19 * 365 * 86_400_000)
    }
  })
})

describe('a device certificate', { skip: noOpenssl }, () => {
  const hsmId = newHsmId()

  test('verifies through either CA with the published anchors, and so does what the device signs', async () => {
    const request = deviceRequest(hsmId)
    const issued = (await loadDeviceIssuer(fleet)).issueDevice(request.csr, hsmId)
    const anchors = publishedAnchors(fleet)
    await opensslVerify(anchors['aws-root'], issued.awsHardwareCertificate)
    await opensslVerify(anchors['manufacturer-root'], issued.manufacturerHardwareCertificate)
    await assert.rejects(opensslVerify(anchors['manufacturer-root'], issued.awsHardwareCertificate))

    await writeFile(join(dir, 'device.pem'), issued.manufacturerHardwareCertificate)
    await writeFile(join(dir, 'device.key'), request.key)
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'hsm.key', '-out', 'hsm.csr', '-subj', '/CN=cluster')
    openssl(
      ...['x509', '-req', '-in', 'hsm.csr', '-CA', 'device.pem', '-CAkey', 'device.key', '-CAcreateserial'],
      ...['-out', 'hsm.pem', '-days', '9'],
    )
    const hsmCertificate = await readFile(join(dir, 'hsm.pem'), 'utf8')
    // -x509_strict would ask for extensions that this leaf, made by `openssl x509 -req`, lacks.
    for (const [bundle, middle] of [
      [anchors['aws-root'], issued.awsHardwareCertificate],
      [anchors['manufacturer-root'], issued.manufacturerHardwareCertificate],
    ]) {
      await writeFile(join(dir, 'bundle.pem'), bundle ?? '')
      await writeFile(join(dir, 'middle.pem'), middle ?? '')
      openssl('verify', '-CAfile', 'bundle.pem', '-untrusted', 'middle.pem', 'hsm.pem')
    }
    assert.match(hsmCertificate, /BEGIN CERTIFICATE/)
  })

  test('names the HSM, may sign certificates but no further CA, and carries the requested key', async () => {
    const issued = (await loadDeviceIssuer(fleet)).issueDevice(deviceRequest(hsmId).csr, hsmId)
    const both = [issued.awsHardwareCertificate, issued.manufacturerHardwareCertificate].map(
      (pem) => new X509Certificate(pem),
    )
    for (const certificate of both) {
      assert.equal(certificate.subjectAltName, `URI:urn:strongroom:hsm:${hsmId}`)
      assert.equal(certificate.ca, true)
      const text = execFileSync('openssl', ['x509', '-noout', '-text'], { input: certificate.toString() }).toString()
      assert.match(text, /CA:TRUE, pathlen:0/)
      assert.match(text, /Digital Signature, Certificate Sign/)
    }
    assert.equal(both[0]?.subject, both[1]?.subject)
    assert.ok(both[0]?.publicKey.equals(both[1]?.publicKey ?? both[0].publicKey))
    assert.notEqual(both[0]?.serialNumber, both[1]?.serialNumber)
    assert.equal(issued.deviceChain, issued.manufacturerHardwareCertificate + fleet.manufacturerCa)
    assert.equal(issued.providerChain, issued.awsHardwareCertificate + fleet.providerCa)
  })

  test('is refused for another HSM, another name, a broken signature, and what is no request', async () => {
    const issuer = await loadDeviceIssuer(fleet)
    const good = deviceRequest(hsmId).csr
    assert.throws(() => issuer.issueDevice(good, newHsmId()), /not for hsm-/)
    const alias = deviceRequest(hsmId, { uri: 'urn:strongroom:control:jobs' }).csr
    assert.throws(() => issuer.issueDevice(alias, hsmId), /not for hsm-/)
    const two = deviceRequest(hsmId, { uri: `urn:strongroom:hsm:${hsmId},URI:urn:strongroom:control:jobs` }).csr
    assert.throws(() => issuer.issueDevice(two, hsmId), /not for hsm-/)
    assert.throws(() => issuer.issueDevice(fleet.root, hsmId), /no CERTIFICATE REQUEST/)
    assert.throws(() => issuer.issueDevice('', hsmId), /no CERTIFICATE REQUEST/)

    const der = Buffer.from(good.split('\n').slice(1, -2).join(''), 'base64')
    for (let at = 0; at < der.length; at += 1) {
      const bent = Buffer.from(der)
      bent[at] = (bent[at] ?? 0) ^ 0x01
      const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${bent.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
      assert.throws(() => issuer.issueDevice(pem, hsmId), `byte ${at}`)
    }
  })

  test('is issued for other curves too, as openssl makes the request', async () => {
    const issuer = await loadDeviceIssuer(fleet)
    const issued = issuer.issueDevice(deviceRequest(hsmId, { curve: 'P-384' }).csr, hsmId)
    await opensslVerify(publishedAnchors(fleet)['aws-root'], issued.awsHardwareCertificate)
  })
})

describe('a control certificate', () => {
  test('verifies under the control CA and not under another', { skip: noOpenssl }, async () => {
    const identity = await issueControl(fleet, 'jobs')
    await opensslVerify(fleet.controlCa + fleet.root, identity.chain)
    await assert.rejects(opensslVerify(fleet.manufacturerCa + fleet.root, identity.chain))
  })

  test('serves both ends of mutual TLS 1.3, and tells who is there', async () => {
    const [server, client] = await Promise.all([issueControl(fleet, 'region:eu-west-1'), issueControl(fleet, 'jobs')])
    const trust = { ca: fleet.controlCa, allowPartialTrustChain: true, minVersion: 'TLSv1.3' } as const
    const listener = createServer({
      // The server side of node:tls ignores `allowPartialTrustChain` (26.10).
      ...{ ...trust, ca: fleet.root, cert: server.chain, key: server.keyPem },
      ...{ requestCert: true, rejectUnauthorized: true },
    })
    const seen = once(listener, 'secureConnection')
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const address = listener.address()
    assert.ok(address !== null && typeof address === 'object')
    const socket = connect({
      ...{ ...trust, host: '127.0.0.1', port: address.port, cert: client.chain, key: client.keyPem },
      checkServerIdentity: () => undefined,
    })
    await once(socket, 'secureConnect')
    const [accepted] = (await seen) as [typeof socket]
    assert.equal(peerUri(socket), 'urn:strongroom:control:region:eu-west-1')
    assert.equal(peerUri(accepted), 'urn:strongroom:control:jobs')
    socket.destroy()
    accepted.destroy()
    listener.close()
  })
})
