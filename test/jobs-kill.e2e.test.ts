import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createClient } from '../clients/sdk/client.ts'
import { stopAll } from '../infra/hosts/host.ts'
import { freshDatabase } from './support/database.ts'
import {
  addHsm,
  createCluster,
  customerCa,
  inState,
  initialize,
  readyBackups,
  untilCluster,
} from './support/life-of-a-cluster.ts'
import { untilTrue } from './support/product.ts'
import { startRealApi, startRealWorker, type RegionPlace } from './support/real-region.ts'

const WORKER = fileURLToPath(new URL('./support/dying-worker.ts', import.meta.url))

/** Boundaries that the life of a cluster below passes: every step but the last of every transition. */
const BOUNDARIES = [
  'create-cluster/prepare',
  'create-cluster/check-backup',
  'launch-hsm/place',
  'launch-hsm/start',
  'launch-hsm/certify',
  'launch-hsm/choose',
  'launch-hsm/found',
  'launch-hsm/back-up',
  'launch-hsm/join',
  'launch-hsm/restore',
  'initialize-cluster/install',
  'take-backup/store',
  'copy-backup/announce',
  'copy-backup/send',
  'delete-hsm/drain',
  'delete-hsm/back-up',
  'delete-hsm/leave',
  'delete-hsm/zeroise',
].flatMap((step) => [`${step}/done`, `${step}/recorded`])

test(
  'a cluster lives its whole life although the job worker is killed between any two steps',
  { timeout: 900_000 },
  async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'strongroom-kill-'))
    const [usDatabase, euDatabase] = [await freshDatabase(), await freshDatabase()]
    const eu: RegionPlace = { region: 'eu-west-1', dir, databaseUrl: euDatabase.url, peers: {} }
    const euWorker = await startRealWorker(eu)
    const us: RegionPlace = {
      region: 'us-east-1',
      dir,
      databaseUrl: usDatabase.url,
      peers: { 'eu-west-1': euWorker.peerPort },
    }
    const diary = join(dir, 'boundaries')
    const ca = await customerCa()
    const [usApi, euApi] = [await startRealApi(us), await startRealApi({ ...eu, peers: { 'us-east-1': 0 } })]

    let over = false
    let worker: ChildProcess | undefined
    let deaths = 0
    const live = () => {
      if (over) return
      worker = fork(WORKER, { stdio: 'inherit' })
      worker.send({ place: us, diary })
      worker.once('exit', (_code, signal) => {
        if (signal === 'SIGKILL') deaths += 1
        live()
      })
    }
    live()
    t.after(async () => {
      over = true
      worker?.kill('SIGKILL')
      await euWorker.stop({ leaveHsms: false })
      await stopAll(join(dir, 'us-east-1', 'hsms'))
      await usApi.stop()
      await euApi.stop()
      await usDatabase.drop()
      await euDatabase.drop()
      await ca.dispose()
      await rm(dir, { recursive: true, force: true })
    })

    const { aws } = usApi
    const { ClusterId: id = '' } = await createCluster(aws)
    const { Hsms = [] } = await addHsm(aws, id)
    await initialize(aws, id, ca)
    const server = { hostname: Hsms[0]?.EniIp ?? '', port: 2223 }
    const client = await createClient({ servers: [server], caFile: ca.certificateFile, requireTwoCopies: false })
    t.after(() => client.close())
    await client.activate('adminpass1')
    await client.login({ username: 'admin', role: 'admin', password: 'adminpass1' })
    await client.users.create({ username: 'alice', role: 'crypto-user', password: 'alicepass1' })
    await client.logout()
    await client.login({ username: 'alice', role: 'crypto-user', password: 'alicepass1' })
    const key = await client.keys.generateAes({ lengthBytes: 32, attributes: { encrypt: true, decrypt: true } })
    const data = Buffer.from('pay 100 EUR')
    const { iv, ciphertext } = await client.encrypt({ handle: key.handle, mechanism: { name: 'aes-gcm' }, data })
    await untilCluster(aws, id, inState('ACTIVE'))
    const { Hsms: both = [] } = await addHsm(aws, id, 1)
    await aws.deleteHsm({ ClusterId: id, HsmId: both[0]?.HsmId ?? '' })
    await untilCluster(aws, id, (cluster) => cluster.Hsms?.length === 1)

    const backups = await readyBackups(aws, id)
    assert.equal(backups.length, 3, 'activation, HSM added, HSM removed')
    const BackupId = backups[0]?.BackupId ?? ''
    await aws.copyBackupToRegion({ DestinationRegion: 'eu-west-1', BackupId })
    await untilTrue(
      async () => {
        const { Backups = [] } = await euApi.aws.describeBackups({ Filters: { sourceBackupIds: [BackupId] } })
        assert.ok(Backups.length <= 1, 'a copy is one, however often it is announced')
        return Backups[0]?.BackupState === 'READY'
      },
      { seconds: 60, what: () => 'the copy is not READY' },
    )

    const { Cluster: restored } = await aws.createCluster({
      HsmType: 'hsm2m.medium',
      SubnetIds: ['subnet-0c0c0c0c'],
      SourceBackupId: BackupId,
    })
    const restoredId = restored?.ClusterId ?? ''
    await untilCluster(aws, restoredId, inState('ACTIVE'))
    const { Hsms: own = [] } = await addHsm(aws, restoredId)
    const other = await createClient({
      servers: [{ hostname: own[0]?.EniIp ?? '', port: 2223 }],
      caFile: ca.certificateFile,
      requireTwoCopies: false,
    })
    t.after(() => other.close())
    await other.login({ username: 'alice', role: 'crypto-user', password: 'alicepass1' })
    const plaintext = await other.decrypt({
      handle: key.handle,
      mechanism: { name: 'aes-gcm', iv },
      data: ciphertext,
    })
    assert.deepEqual(Buffer.from(plaintext), data)
    await other.close()
    await aws.deleteHsm({ ClusterId: restoredId, HsmId: own[0]?.HsmId ?? '' })
    await untilCluster(aws, restoredId, (cluster) => cluster.Hsms?.length === 0)
    await aws.deleteCluster({ ClusterId: restoredId })
    await untilCluster(aws, restoredId, inState('DELETED'))

    const passed = (await readFile(diary, 'utf8')).trim().split('\n')
    assert.deepEqual(passed.toSorted(), BOUNDARIES.toSorted())
    assert.equal(deaths, BOUNDARIES.length)
  },
)
