/** `strongroom account` against a running Strongroom of two regions, whose requests are those of the real SDK. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CloudHSMV2 } from '@aws-sdk/client-cloudhsm-v2'
import { ROOT, startProduct, untilTrue, type Product } from './support/product.ts'

interface Key {
  readonly AccessKeyId: string
  readonly SecretAccessKey: string
}

describe('strongroom account', { timeout: 240_000 }, () => {
  let product: Product
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
    const root = await newKey(['create', '222222222222'])
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

  test('says what to do when nothing runs', async () => {
    const { code, stderr } = await account(['list'], '', join(product.data, 'nothing-here'))
    assert.equal(code, 1)
    assert.match(stderr, /does not run on .*\n {2}Start it/)
  })
})
