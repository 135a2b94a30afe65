/** `strongroom account` against a running Strongroom of two regions, whose requests are those of the real SDK, and whose HSMs are real. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { CloudHSMV2 } from '@aws-sdk/client-cloudhsm-v2'
import { z } from 'zod'
import { signed } from '../api/testing/signer.ts'
import { createClient } from '../clients/sdk/client.ts'
import {
  addHsm,
  createCluster,
  customerCa,
  initialize,
  inState,
  readyBackups,
  untilCluster,
} from './support/life-of-a-cluster.ts'
import { ROOT, startProduct, untilTrue, type Product } from './support/product.ts'

interface Key {
  readonly AccessKeyId: string
  readonly SecretAccessKey: string
}

const trailEvent = z.object({
  eventName: z.string(),
  eventSource: z.string(),
  userIdentity: z.object({ arn: z.string() }),
})

describe('strongroom account', { timeout: 240_000 }, () => {
  let product: Product
  let root: Key
  const clients: CloudHSMV2[] = []
  before(async () => {
    product = await startProduct({ regions: ['us-east-1', 'eu-west-1'] })
  })
  after(async () => {
    for (const client of clients) client.destroy()
    await product.dispose()
  })

  function account(words: readonly string[], input = '', data = product.data) {
    return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const child = execFile(
        join(ROOT, 'bin/strongroom'),
        ['account', ...words, '--data', data],
        { timeout: 60_000 },
        (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      )
      child.stdin?.end(input)
    })
  }
  const newKey = async (words: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await account([...words, '--json'], input)
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Key
  }
  const client = (key: Key, region: string) => {
    const credentials = { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey }
    const made = new CloudHSMV2({ endpoint: product.url, region, credentials, maxAttempts: 1 })
    clients.push(made)
    return made
  }
  /** What is changed holds within a second; a busy machine may take longer. */
  const untilAnswered = async (key: Key, region: string, expected: string) => {
    const aws = client(key, region)
    let last = ''
    await untilTrue(
      async () => {
        last = await aws.describeClusters({}).then(
          () => 'ok',
          (error: unknown) => (error instanceof Error ? error.name : String(error)),
        )
        return last === expected
      },
      { seconds: 30, what: () => `${region} answers ${last}, not ${expected}` },
    )
  }

  test('a key works in every region, a user when a policy allows it; both outlive a restart, a new region knows them', async () => {
    root = await newKey(['create', '222222222222'])
    for (const region of ['us-east-1', 'eu-west-1']) await untilAnswered(root, region, 'ok')

    const here = ['--user', 'ada', '--account', '222222222222']
    await account(['user', 'create', 'ada', '--account', '222222222222'])
    const secret = 'brought-from-elsewhere-0123456789'
    const given = await newKey(['key', 'create', '--secret-stdin', ...here], `${secret}\n`)
    assert.equal(given.SecretAccessKey, undefined)
    const ada = { ...given, SecretAccessKey: secret }
    await untilAnswered(ada, 'us-east-1', 'AccessDeniedException')
    const policy = '{"Statement":[{"Effect":"Allow","Action":"cloudhsm:Describe*","Resource":"*"}]}'
    assert.equal((await account(['policy', 'put', 'look', '-', ...here], policy)).code, 0)
    for (const region of ['us-east-1', 'eu-west-1']) await untilAnswered(ada, region, 'ok')

    await product.stop()
    const regions = ['us-east-1', 'eu-west-1', 'sa-east-1']
    product = await startProduct({ regions, data: product.data, port: product.port })
    for (const region of ['us-east-1', 'sa-east-1']) {
      await untilAnswered(root, region, 'ok')
      await untilAnswered(ada, region, 'ok')
    }
  })

  test('a shared backup brings the users and keys of an HSM into a cluster of another account', async (t) => {
    const owner = product.aws()
    const ca = await customerCa()
    t.after(() => ca.dispose())
    const login = async (address: string | undefined, activate: boolean) => {
      const servers = [{ hostname: address ?? '', port: 2223 }]
      const hsm = await createClient({ servers, caFile: ca.certificateFile, requireTwoCopies: false })
      try {
        if (activate) await hsm.activate('adminpass1')
        await hsm.login({ username: 'admin', role: 'admin', password: 'adminpass1' })
      } finally {
        await hsm.close()
      }
    }
    const { ClusterId: id = '' } = await createCluster(owner)
    const { Hsms = [] } = await addHsm(owner, id)
    await initialize(owner, id, ca)
    await login(Hsms[0]?.EniIp, true)
    await untilTrue(async () => (await readyBackups(owner, id)).length > 0, { seconds: 60, what: () => 'no backup' })
    const [{ BackupId } = {}] = await readyBackups(owner, id)
    const arn = `arn:aws:cloudhsm:us-east-1:000000000000:backup/${String(BackupId)}`
    const source = { HsmType: 'hsm2m.medium', SubnetIds: ['subnet-0c0c0c0c'], SourceBackupId: arn }
    const consumer = client(root, 'us-east-1')
    await assert.rejects(consumer.createCluster(source), { name: 'AccessDeniedException' })

    const Action = ['cloudhsm:DescribeBackups', 'cloudhsm:CreateCluster']
    const statement = { Effect: 'Allow', Principal: { AWS: '222222222222' }, Action, Resource: arn }
    await putResourcePolicy(arn, JSON.stringify({ Version: '2012-10-17', Statement: [statement] }))
    const { Cluster } = await consumer.createCluster(source)
    const restored = Cluster?.ClusterId ?? ''
    await untilCluster(consumer, restored, inState('ACTIVE'))
    const { Hsms: own = [] } = await addHsm(consumer, restored)
    await login(own[0]?.EniIp, false)
    const { Backups = [] } = await consumer.describeBackups({})
    assert.ok(
      Backups.every((backup) => backup.BackupId !== BackupId),
      'the backup itself is not the consumer’s',
    )
  })

  /** The SDK that there is for npm does not know this operation yet. */
  async function putResourcePolicy(ResourceArn: string, Policy: string): Promise<void> {
    const body = JSON.stringify({ ResourceArn, Policy })
    const headers = {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'BaldrApiService.PutResourcePolicy',
    }
    const response = await fetch(product.url, {
      method: 'POST',
      headers: signed({ host: new URL(product.url).host, headers, body }),
      body,
    })
    assert.equal(response.status, 200, await response.text())
  }

  test('the trail of the running service tells who changed accounts, in every region, and what was asked for', async () => {
    for (const region of ['us-east-1', 'eu-west-1']) {
      const events = await trail(['--region', region, '--limit', '1000'])
      const changes = events.filter(({ eventSource }) => eventSource !== 'cloudhsm.amazonaws.com')
      const names = ['CreateAccount', 'CreateAccessKey', 'CreateUser', 'CreateAccessKey', 'PutUserPolicy']
      assert.deepEqual(
        changes.map(({ eventName }) => eventName),
        names,
      )
      for (const { userIdentity } of changes) assert.match(userIdentity.arn, /^arn:strongroom:operator::.+:user\/.+$/)
      assert.ok(
        events.some(({ eventName, userIdentity }) => eventName === 'DescribeClusters' && /ada/.test(userIdentity.arn)),
      )
    }
    // The region that came later took over what there was.
    const [first] = await trail(['--region', 'sa-east-1', '--event-name', 'CreateUser'])
    assert.match(first?.userIdentity.arn ?? '', /^arn:strongroom:region::/)
  })

  /** The events that `strongroom trail` prints; throws when a secret of a key is in them. */
  async function trail(words: readonly string[]) {
    const program = join(ROOT, 'bin/strongroom')
    const most = { maxBuffer: 64 * 1024 * 1024 }
    const { stdout } = await promisify(execFile)(program, ['trail', '--json', '--data', product.data, ...words], most)
    assert.equal(stdout.includes(root.SecretAccessKey), false)
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => trailEvent.parse(JSON.parse(line)))
  }

  test('says what to do when nothing runs', async () => {
    const { code, stderr } = await account(['list'], '', join(product.data, 'nothing-here'))
    assert.equal(code, 1)
    assert.match(stderr, /does not run on .*\n {2}Start it/)
  })
})
