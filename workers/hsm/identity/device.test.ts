import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { fleetPki } from '../testing/pki.ts'
import { samePublicKey } from './certificate.ts'
import { deviceIdentity, type Device } from './device.ts'
import { isMissing } from './files.ts'
import { hsmOf } from './trust.ts'

const pki = fleetPki()
const stop = new AbortController()
after(() => stop.abort())

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hsm-device-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

function start(path: string, { local } = new MemoryStore('hsm-1'), hsmId = 'hsm-1'): Promise<Device> {
  return deviceIdentity({ directory: path, config: { hsmId, trust: pki.trust }, local, signal: stop.signal })
}

async function requestIn(path: string): Promise<string> {
  for (;;) {
    try {
      return await readFile(join(path, 'device.csr'), 'utf8')
    } catch (error) {
      if (!isMissing(error)) throw error
      await sleep(5)
    }
  }
}

async function bring(path: string, chains: { deviceChain: string; providerChain: string }): Promise<void> {
  await writeFile(join(path, 'provider.pem'), chains.providerChain)
  await writeFile(join(path, 'device.pem'), chains.deviceChain)
}

test('a new HSM asks for a certificate, waits for it, and keeps its key for the next start', async (t) => {
  const path = await directory(t)
  const store = new MemoryStore('hsm-1')
  const first = start(path, store)
  await bring(path, pki.issueDevice(await requestIn(path), 'hsm-1'))
  const device = await first
  assert.equal(hsmOf(device.certificate), 'hsm-1')
  assert.equal((await stat(join(path, 'device.csr'))).mode & 0o777, 0o600)
  const again = await start(path, store)
  assert.ok(samePublicKey(again.key, device.key))
})

test('a certificate for another key is refused', async (t) => {
  const path = await directory(t)
  const first = start(path)
  await bring(path, pki.issueDevice(await requestIn(path), 'hsm-1'))
  await first
  await assert.rejects(start(path), /provider\.pem: the certificate is for another key/)
})

test('a certificate for another HSM is refused', async (t) => {
  const path = await directory(t)
  const waiting = start(path)
  await Promise.all([
    assert.rejects(waiting, /the certificate is not for hsm-1/),
    bring(path, pki.issueDevice(await requestIn(path), 'hsm-2')),
  ])
})

test('a certificate of another fleet is refused', async (t) => {
  const path = await directory(t)
  const waiting = start(path)
  await Promise.all([
    assert.rejects(waiting, /the chain does not lead to the root of the fleet/),
    bring(path, fleetPki().issueDevice(await requestIn(path), 'hsm-1')),
  ])
})
