import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../state/database.ts'
import { freshDatabase } from '../../test/support/database.ts'
import { zoneAddresses } from './zone-addresses.ts'

test('a new HSM is shown an address of the host that would get it, or else one of this machine', async () => {
  const fresh = await freshDatabase()
  const database = openDatabase({ url: fresh.url })
  try {
    const own = { eniIp: '127.1.1.1', listenIp: '127.1.1.1' }
    const port = zoneAddresses(database, { choose: () => Promise.resolve(own) })
    const b = { id: 'rack2', zones: ['us-east-1b'], capacity: 1, addresses: ['10.0.3.10', '10.0.3.11'] }
    await database.read.hosts.heartbeat({ id: 'region', zones: ['us-east-1a', 'us-east-1b'], capacity: 0 })
    await database.read.hosts.heartbeat(b)
    const none = new Set<string>()
    assert.deepEqual(await port.choose(none, undefined, 'us-east-1a'), own, 'nobody there has room')
    assert.deepEqual(await port.choose(new Set(['10.0.3.10']), undefined, 'us-east-1b'), {
      eniIp: '10.0.3.11',
      listenIp: '10.0.3.11',
    })
    assert.deepEqual(await port.choose(none, '10.0.3.11', 'us-east-1b'), { eniIp: '10.0.3.11', listenIp: '10.0.3.11' })
    assert.deepEqual(await port.choose(none, '10.9.9.9', 'us-east-1b'), {
      eniIp: '10.9.9.9',
      listenIp: '10.0.3.10',
      note: 'No machine of us-east-1b can bind 10.9.9.9: the HSM listens on 10.0.3.10.',
    })
    assert.deepEqual(await port.choose(new Set(b.addresses), undefined, 'us-east-1b'), own)
  } finally {
    await database.close()
    await fresh.drop()
  }
})
