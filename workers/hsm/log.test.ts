import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, rmSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { logDestination } from './log.ts'
import { activatedCluster, aliceOn } from './testing/activated.ts'

test(
  'what cannot be written is lost, and how much that was stands before the next line',
  { skip: process.platform !== 'linux' },
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'hsm-log-'))
    const file = openSync(join(directory, 'hsm.log'), 'w+')
    const full = openSync('/dev/full', 'w')
    try {
      let at = full
      const destination = logDestination(() => at)
      destination.write('{"msg":"one"}\n')
      destination.write('{"msg":"two"}\n')
      at = file
      destination.write('{"msg":"three"}\n')
      const lines = readFileSync(join(directory, 'hsm.log'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
      assert.deepEqual(
        lines.map((line) => (JSON.parse(line) as { msg: string; lost?: number }).lost ?? line),
        [2, '{"msg":"three"}'],
      )
    } finally {
      closeSync(file)
      closeSync(full)
      rmSync(directory, { recursive: true })
    }
  },
)

test('an HSM whose log has no room left starts, serves and ends', { skip: process.platform !== 'linux' }, async (t) => {
  const cluster = await activatedCluster({ prefix: ['sh', '-c', 'exec "$@" > /dev/full', 'sh'] })
  t.after(() => cluster.first.dispose())
  const client = await aliceOn(cluster)
  await client.call('key-generate-aes', { lengthBytes: 32, attributes: { label: 'one' }, requireTwoCopies: false })
  await client.close()
  assert.equal(await cluster.first.stop('SIGTERM'), 0)
})
