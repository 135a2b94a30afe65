/** The unmodified clients that people use, over a real socket. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import {
  CloudHSMV2Client,
  CloudHsmInvalidRequestException,
  CloudHsmResourceNotFoundException,
  CreateClusterCommand,
  CreateHsmCommand,
  DescribeClustersCommand,
  ListTagsCommand,
  paginateDescribeBackups,
  paginateDescribeClusters,
  paginateListTags,
  TagResourceCommand,
} from '@aws-sdk/client-cloudhsm-v2'
import type { ClusterId, HsmId } from '../provider-schema/ids.ts'
import { ACCOUNT, OTHER_ACCOUNT, testApi, type TestApi } from './testing/api.ts'
import { awsCli } from './testing/aws-cli.ts'
import { backupRow, setClusterState } from './testing/fixtures.ts'
import { document, roleWith } from './testing/identities.ts'
import { workshop } from './testing/openssl.ts'

const run = promisify(execFile)
// Before any test is declared: the runner would take a pause between two as the end of the file.
const { missing: cli, old: oldCli } = awsCli()
const boto3 = await run('python3', ['-c', 'import boto3'])
  .then(() => undefined)
  .catch(() => 'boto3 is not installed')
let api: TestApi
let sdk: CloudHSMV2Client

before(async () => {
  api = await testApi()
  sdk = new CloudHSMV2Client({
    endpoint: api.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  })
})

after(async () => {
  sdk.destroy()
  await api.close()
})

const SUBNET = 'subnet-0a0a0a0a0a0a0a0a1'

test('the AWS SDK creates, describes and tags a cluster, and reads timestamps as dates', async () => {
  const { Cluster } = await sdk.send(new CreateClusterCommand({ HsmType: 'hsm2m.medium', SubnetIds: [SUBNET] }))
  assert.ok(Cluster?.ClusterId)
  assert.equal(Cluster.State, 'CREATE_IN_PROGRESS')
  assert.ok(Math.abs((Cluster.CreateTimestamp?.getTime() ?? 0) - Date.now()) < 60_000)
  await sdk.send(new TagResourceCommand({ ResourceId: Cluster.ClusterId, TagList: [{ Key: 'ümlaut é', Value: 'ß' }] }))
  const { TagList } = await sdk.send(new ListTagsCommand({ ResourceId: Cluster.ClusterId }))
  assert.deepEqual(TagList, [{ Key: 'ümlaut é', Value: 'ß' }])
})

test("the AWS SDK's paginator walks all pages", async () => {
  await sdk.send(new CreateClusterCommand({ HsmType: 'hsm2m.medium', SubnetIds: [SUBNET] }))
  const all = await sdk.send(new DescribeClustersCommand({}))
  const seen: (string | undefined)[] = []
  for await (const page of paginateDescribeClusters({ client: sdk, pageSize: 1 }, {})) {
    assert.equal(page.Clusters?.length, 1)
    seen.push(page.Clusters[0]?.ClusterId)
  }
  assert.ok(seen.length >= 2)
  assert.deepEqual(
    seen,
    all.Clusters?.map((cluster) => cluster.ClusterId),
  )
})

test('the AWS SDK raises typed errors that carry text and request id', async () => {
  const nowhere = new CreateHsmCommand({ ClusterId: 'cluster-aaaaaaaaaaa', AvailabilityZone: 'us-east-1a' })
  await assert.rejects(sdk.send(nowhere), (error) => {
    assert.ok(error instanceof CloudHsmResourceNotFoundException)
    assert.match(error.message, /cluster-aaaaaaaaaaa/)
    assert.match(error.$metadata.requestId ?? '', /^[0-9a-f-]{36}$/)
    return true
  })
  // The SDK checks nothing itself: what is required is missing here.
  await assert.rejects(
    sdk.send(new CreateClusterCommand({ HsmType: undefined, SubnetIds: [SUBNET] })),
    (error) => error instanceof CloudHsmInvalidRequestException && /'hsmType'.*must not be null/.test(error.message),
  )
})

interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function aws(...args: string[]): Promise<Finished> {
  return awsAs('test', ...args)
}

async function awsAs(accessKeyId: string, ...args: string[]): Promise<Finished> {
  return awsWith({ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: 'test' }, ...args)
}

async function awsWith(credentials: Readonly<Record<string, string>>, ...args: string[]): Promise<Finished> {
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    ...credentials,
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_PAGER: '',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_MAX_ATTEMPTS: '1',
  }
  return run('aws', ['--endpoint-url', api.url, '--output', 'json', ...args], { env })
    .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }))
    .catch((error: unknown) => error as Finished)
}

test('the AWS CLI creates a cluster with Mode and finds it by filter', { skip: oldCli ?? false }, async () => {
  const created = await aws(
    ...['cloudhsmv2', 'create-cluster', '--hsm-type', 'hsm2m.medium', '--mode', 'NON_FIPS'],
    ...[
      '--subnet-ids',
      SUBNET,
      '--tag-list',
      'Key=Owner,Value=cli',
      '--query',
      'Cluster.ClusterId',
      '--output',
      'text',
    ],
  )
  assert.equal(created.code, 0, created.stderr)
  const id = created.stdout.trim()
  const found = await aws('cloudhsmv2', 'describe-clusters', '--filters', `clusterIds=${id},states=CREATE_IN_PROGRESS`)
  const { Clusters } = JSON.parse(found.stdout) as { Clusters: Record<string, unknown>[] }
  assert.equal(Clusters.length, 1)
  assert.equal(Clusters[0]?.['Mode'], 'NON_FIPS')
  assert.deepEqual(Clusters[0]['TagList'], [{ Key: 'Owner', Value: 'cli' }])
})

test('the AWS CLI shows the text of a refusal', { skip: cli ?? false }, async () => {
  const refused = await aws('cloudhsmv2', 'delete-cluster', '--cluster-id', 'cluster-aaaaaaaaaaa')
  assert.notEqual(refused.code, 0)
  assert.match(
    refused.stderr,
    /\(CloudHsmResourceNotFoundException\).*DeleteCluster operation.*: Cluster cluster-aaaaaaaaaaa/,
  )
})

test('the AWS CLI learns who it is from STS, and that a key is unknown', { skip: cli ?? false }, async () => {
  const identity = await aws('sts', 'get-caller-identity')
  assert.deepEqual(JSON.parse(identity.stdout), {
    UserId: 'test',
    Account: '000000000000',
    Arn: 'arn:aws:iam::000000000000:user/test',
  })
  const stranger = await awsAs('nobody', 'sts', 'get-caller-identity')
  assert.match(stranger.stderr, /\(InvalidClientTokenId\).*The security token included in the request is invalid/)
})

test(
  'the AWS CLI shares a backup with another account, which makes a cluster of it',
  { skip: oldCli ?? false },
  async () => {
    const backup = await backupRow(api, 'cluster-aaaaaaaaaaa' as ClusterId)
    const arn = `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:backup/${backup}`
    const Action = ['cloudhsm:DescribeBackups', 'cloudhsm:CreateCluster']
    const policy = document([{ Effect: 'Allow', Principal: { AWS: OTHER_ACCOUNT }, Action, Resource: arn }])
    const put = await aws('cloudhsmv2', 'put-resource-policy', '--resource-arn', arn, '--policy', policy)
    assert.deepEqual(JSON.parse(put.stdout), { ResourceArn: arn, Policy: policy }, put.stderr)

    const other = { AWS_ACCESS_KEY_ID: 'other', AWS_SECRET_ACCESS_KEY: 'other' }
    const listed = await awsWith(other, 'cloudhsmv2', 'describe-backups', '--shared', '--query', 'Backups[].BackupArn')
    assert.deepEqual(JSON.parse(listed.stdout), [arn], listed.stderr)
    const create = ['cloudhsmv2', 'create-cluster', '--hsm-type', 'hsm2m.medium', '--subnet-ids', 'subnet-0e0e0e0e']
    const made = await awsWith(other, ...create, '--source-backup-id', arn, '--query', 'Cluster.SourceBackupId')
    assert.equal(JSON.parse(made.stdout), backup, made.stderr)

    const removed = await aws('cloudhsmv2', 'delete-resource-policy', '--resource-arn', arn)
    assert.deepEqual(JSON.parse(removed.stdout), { ResourceArn: arn, Policy: policy })
    const refused = await awsWith(other, ...create, '--source-backup-id', arn)
    assert.match(
      refused.stderr,
      /\(AccessDeniedException\).*no resource-based policy allows the cloudhsm:CreateCluster action/,
    )
  },
)

test('the AWS CLI takes a role, and works under the credentials it is given', { skip: cli ?? false }, async () => {
  const statements = [{ Effect: 'Allow', Action: 'cloudhsm:DescribeClusters', Resource: '*' }]
  const role = await roleWith(api, { name: 'viewer', trusts: { AWS: ACCOUNT }, statements })
  const assumed = await aws('sts', 'assume-role', '--role-arn', role, '--role-session-name', 'cli')
  const { Credentials, AssumedRoleUser } = JSON.parse(assumed.stdout) as Record<string, Record<string, string>>
  assert.equal(AssumedRoleUser?.['Arn'], `arn:aws:sts::${ACCOUNT}:assumed-role/viewer/cli`)
  const env = {
    AWS_ACCESS_KEY_ID: Credentials?.['AccessKeyId'] ?? '',
    AWS_SECRET_ACCESS_KEY: Credentials?.['SecretAccessKey'] ?? '',
    AWS_SESSION_TOKEN: Credentials?.['SessionToken'] ?? '',
  }
  const allowed = await awsWith(env, 'cloudhsmv2', 'describe-clusters', '--max-items', '1')
  assert.equal(allowed.code, 0, allowed.stderr)
  const refused = await awsWith(env, 'cloudhsmv2', 'describe-backups')
  assert.match(refused.stderr, /\(AccessDeniedException\).*assumed-role\/viewer\/cli is not authorized to perform/)
  const own = await aws('sts', 'get-session-token', '--duration-seconds', '900', '--query', 'Credentials.Expiration')
  assert.ok(Date.parse(JSON.parse(own.stdout) as string) > Date.now(), own.stderr)
})

/** One life of a cluster and its backups through every command; jobs do not run here, rows are put into their states. */
test('the AWS CLI has all eighteen commands', { skip: oldCli ?? false, timeout: 300_000 }, async () => {
  const made = await testApi()
  const shop = await workshop()
  const used = new Set<string>()
  try {
    const ask = async (command: string, ...args: string[]): Promise<Record<string, unknown>> => {
      used.add(command)
      const { code, stdout, stderr } = await aws('--endpoint-url', made.url, 'cloudhsmv2', command, ...args)
      assert.equal(code, 0, stderr)
      return stdout.trim() === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>)
    }
    const csr = await shop.request('hsm')
    await writeFile(shop.path('ca.pem'), await shop.selfSigned('ca'))
    await writeFile(shop.path('signed.pem'), await shop.issue('hsm', 'ca'))

    const created = await ask('create-cluster', '--hsm-type', 'hsm2m.medium', '--subnet-ids', SUBNET)
    const id = (created as { Cluster: { ClusterId: ClusterId } }).Cluster.ClusterId
    const named = ['--cluster-id', id] as const
    await setClusterState(made, id, 'UNINITIALIZED')
    const hsm = await ask('create-hsm', ...named, '--availability-zone', 'us-east-1a')
    const { HsmId, EniIp } = (hsm as { Hsm: { HsmId: HsmId; EniIp: string } }).Hsm
    await made.database.read.hsms.changeState(HsmId, { from: 'CREATE_IN_PROGRESS', to: 'ACTIVE' })
    await made.database.read.clusters.update(id, { clusterCsr: csr })
    const signed = [`file://${shop.path('signed.pem')}`, '--trust-anchor', `file://${shop.path('ca.pem')}`] as const
    const initialized = await ask('initialize-cluster', ...named, '--signed-cert', ...signed)
    assert.equal(initialized['State'], 'INITIALIZE_IN_PROGRESS')
    await setClusterState(made, id, 'ACTIVE')
    const retention = await ask('modify-cluster', ...named, '--backup-retention-policy', 'Type=DAYS,Value=30')
    assert.deepEqual((retention['Cluster'] as Record<string, unknown>)['BackupRetentionPolicy'], {
      Type: 'DAYS',
      Value: '30',
    })
    await ask('tag-resource', '--resource-id', id, '--tag-list', 'Key=a,Value=1', 'Key=b,Value=2')
    await ask('untag-resource', '--resource-id', id, '--tag-key-list', 'a')
    assert.deepEqual(await ask('list-tags', '--resource-id', id), { TagList: [{ Key: 'b', Value: '2' }] })

    const backup = await backupRow(made, id)
    await backupRow(made, id)
    const arn = `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:backup/${backup}`
    const paged = await ask('describe-backups', '--page-size', '1', '--no-sort-ascending')
    assert.equal((paged['Backups'] as unknown[]).length, 2)
    const copied = await ask('copy-backup-to-region', '--destination-region', 'eu-west-1', '--backup-id', backup)
    assert.equal((copied['DestinationBackup'] as Record<string, unknown>)['SourceBackup'], backup)
    const pinned = await ask('modify-backup-attributes', '--backup-id', backup, '--never-expires')
    assert.equal((pinned['Backup'] as Record<string, unknown>)['NeverExpires'], true)
    const Statement = {
      Effect: 'Allow',
      Principal: { AWS: OTHER_ACCOUNT },
      Action: 'cloudhsm:CreateCluster',
      Resource: arn,
    }
    const policy = document([Statement])
    await ask('put-resource-policy', '--resource-arn', arn, '--policy', policy)
    assert.deepEqual(await ask('get-resource-policy', '--resource-arn', arn), { Policy: policy })
    await ask('delete-resource-policy', '--resource-arn', arn)
    const deleted = await ask('delete-backup', '--backup-id', backup)
    assert.equal((deleted['Backup'] as Record<string, unknown>)['BackupState'], 'PENDING_DELETION')
    const restored = await ask('restore-backup', '--backup-id', backup)
    assert.equal((restored['Backup'] as Record<string, unknown>)['BackupState'], 'READY')

    assert.deepEqual(await ask('delete-hsm', ...named, '--eni-ip', EniIp), { HsmId })
    await made.database.read.hsms.changeState(HsmId, { from: 'DELETE_IN_PROGRESS', to: 'DELETED' })
    const leaving = await ask('delete-cluster', ...named)
    assert.equal((leaving['Cluster'] as Record<string, unknown>)['State'], 'DELETE_IN_PROGRESS')
    const { Clusters } = (await ask('describe-clusters', '--filters', `clusterIds=${id}`)) as { Clusters: unknown[] }
    assert.equal(Clusters.length, 1)
    assert.equal(used.size, 18)
  } finally {
    await shop.remove()
    await made.close()
  }
})

const BOTO3 = `
import sys, boto3
from botocore.exceptions import ClientError
c = boto3.client('cloudhsmv2', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='test', aws_secret_access_key='test')
made = c.create_cluster(HsmType='hsm2m.medium', SubnetIds=[sys.argv[2]], TagList=[{'Key': 'k', 'Value': 'v'}])['Cluster']
assert made['CreateTimestamp'].year > 2000, made
ids = [one['ClusterId'] for page in c.get_paginator('describe_clusters').paginate(PaginationConfig={'PageSize': 1}) for one in page['Clusters']]
assert made['ClusterId'] in ids, ids
tags = [tag for page in c.get_paginator('list_tags').paginate(ResourceId=made['ClusterId']) for tag in page['TagList']]
assert tags == [{'Key': 'k', 'Value': 'v'}], tags
list(c.get_paginator('describe_backups').paginate(PaginationConfig={'PageSize': 1}))
try:
    c.delete_backup(BackupId='backup-aaaaaaaaaaa')
    raise SystemExit('not refused')
except c.exceptions.CloudHsmResourceNotFoundException as error:
    assert 'backup-aaaaaaaaaaa' in error.response['Error']['Message'], error
print('all holds')
`
test('boto3 creates, pages and raises typed errors', { skip: boto3 ?? false }, async () => {
  const made = await testApi()
  try {
    const { stdout } = await run('python3', ['-c', BOTO3, made.url, SUBNET])
    assert.equal(stdout.trim(), 'all holds')
  } finally {
    await made.close()
  }
})

test("the AWS SDK's other paginators walk all pages", async () => {
  const TagList = ['x', 'y', 'z'].map((Key) => ({ Key, Value: '' }))
  const asked = new CreateClusterCommand({ HsmType: 'hsm2m.medium', SubnetIds: [SUBNET], TagList })
  const ResourceId = (await sdk.send(asked)).Cluster?.ClusterId
  const keys: (string | undefined)[] = []
  for await (const page of paginateListTags({ client: sdk, pageSize: 1 }, { ResourceId })) {
    assert.equal(page.TagList?.length, 1)
    keys.push(page.TagList[0]?.Key)
  }
  assert.deepEqual(keys, ['x', 'y', 'z'])
  const backups = [await backupRow(api, ResourceId as ClusterId), await backupRow(api, ResourceId as ClusterId)]
  const seen: (string | undefined)[] = []
  for await (const page of paginateDescribeBackups({ client: sdk, pageSize: 1 }, {})) {
    seen.push(...(page.Backups ?? []).map(({ BackupId }) => BackupId))
  }
  assert.ok(backups.every((id) => seen.includes(id)))
})
