import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { configurationFile } from '../configuration/configuration.ts'
import { exists } from '../files/exists.ts'
import { PLACES } from '../places.ts'
import { livingLauncher } from '../launcher/instance.ts'
import { stopInstance } from '../launcher/stop-instance.ts'
import { Trouble } from '../trouble.ts'
import { upDetached } from './detach.ts'

async function configured(t: TestContext, file: object = {}) {
  const data = await mkdtemp(join(tmpdir(), 'detach-'))
  t.after(() => rm(data, { recursive: true, force: true, maxRetries: 10 }))
  return { ...configurationFile.parse({ port: 0, ...file }), data, regions: ['us-east-1'], ephemeral: false }
}

test('a data directory that is removed under a start ends it, and says so', { timeout: 240_000 }, async (t) => {
  const configuration = await configured(t)
  const { data } = configuration
  const end = assert.rejects(upDetached(configuration), (error) => {
    assert.ok(error instanceof Trouble, String(error))
    assert.equal(error.message, `The data directory ${data} was removed while Strongroom started.`)
    return true
  })
  while (!(await exists(join(data, PLACES.lock)))) await sleep(5)
  await rm(data, { recursive: true, force: true, maxRetries: 10 })
  await end
})

test(
  'a start that waits for something is waited for so long, and goes on in the background',
  { timeout: 240_000 },
  async (t) => {
    // Nobody listens there.
    const configuration = await configured(t, { databaseUrl: 'postgres://nobody@127.0.0.1:1/nothing' })
    const { data } = configuration
    await assert.rejects(upDetached(configuration, 1_000), (error) => {
      assert.ok(error instanceof Trouble, String(error))
      assert.match(error.message, /^Strongroom is not ready after 1 s\./)
      assert.ok(error.mend?.includes(`"strongroom down --data ${data}" ends it`))
      return true
    })
    // A busy machine may be slow to start it.
    while (!(await livingLauncher(data))) await sleep(20)
    assert.equal((await stopInstance(data)).launcher, true)
  },
)
