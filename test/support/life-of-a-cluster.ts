/** The main path through the API with the real SDK, step by step, for tests that need a cluster somewhere on it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Backup, CloudHSMV2, Cluster } from '@aws-sdk/client-cloudhsm-v2'
import { untilTrue } from './product.ts'

const openssl = (...args: string[]) => promisify(execFile)('openssl', args)

/** A CA of a customer, in files, since that is how its certificate is handed to clients. */
export interface CustomerCa {
  readonly certificateFile: string
  readonly certificate: string
  sign(csr: string): Promise<string>
  dispose(): Promise<void>
}

export async function customerCa(): Promise<CustomerCa> {
  const dir = await mkdtemp(join(tmpdir(), 'strongroom-ca-'))
  const [key, certificateFile] = [join(dir, 'ca.key'), join(dir, 'ca.crt')]
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    certificateFile,
    '-days',
    '30',
    '-subj',
    '/CN=customer-ca',
  )
  return {
    certificateFile,
    certificate: await readFile(certificateFile, 'utf8'),
    sign: async (csr) => {
      const [request, signed] = [join(dir, 'cluster.csr'), join(dir, 'cluster.crt')]
      await writeFile(request, csr)
      await openssl(
        'x509',
        '-req',
        '-days',
        '30',
        '-in',
        request,
        '-CA',
        certificateFile,
        '-CAkey',
        key,
        '-CAcreateserial',
        '-out',
        signed,
      )
      return readFile(signed, 'utf8')
    },
    dispose: () => rm(dir, { recursive: true, force: true }),
  }
}

export async function describeCluster(aws: CloudHSMV2, id: string): Promise<Cluster> {
  const { Clusters = [] } = await aws.describeClusters({ Filters: { clusterIds: [id] } })
  const [cluster] = Clusters
  assert.ok(cluster, `${id} is not described`)
  return cluster
}

/** Waits until a cluster is as wanted; what it last was stands in the error. Tolerates a service that is away. */
export async function untilCluster(
  aws: CloudHSMV2,
  id: string,
  wanted: (cluster: Cluster) => boolean,
  seconds = 180,
): Promise<Cluster> {
  let last: Cluster | undefined
  await untilTrue(
    async () => {
      last = await describeCluster(aws, id).catch(() => last)
      return last !== undefined && wanted(last)
    },
    { seconds, what: () => JSON.stringify(last, ['State', 'StateMessage', 'Hsms', 'HsmId'], 1) },
  )
  assert.ok(last)
  return last
}

export const inState = (state: string) => (cluster: Cluster) => cluster.State === state
export const withHsms = (n: number) => (cluster: Cluster) =>
  cluster.Hsms?.length === n && cluster.Hsms.every((hsm) => hsm.State === 'ACTIVE')

/** A new cluster, as soon as it is UNINITIALIZED. */
export async function createCluster(
  aws: CloudHSMV2,
  subnets = ['subnet-0a0a0a0a', 'subnet-0b0b0b0b'],
  hsmType = 'hsm2m.medium',
): Promise<Cluster> {
  const { Cluster: made } = await aws.createCluster({ HsmType: hsmType, SubnetIds: subnets })
  assert.ok(made?.ClusterId)
  return untilCluster(aws, made.ClusterId, inState('UNINITIALIZED'))
}

/** One more HSM in the n-th zone of a cluster; waits until all of the cluster are ACTIVE. */
export async function addHsm(aws: CloudHSMV2, clusterId: string, zone = 0): Promise<Cluster> {
  const before = await describeCluster(aws, clusterId)
  await aws.createHsm({ ClusterId: clusterId, AvailabilityZone: zoneOf(before, zone) })
  return untilCluster(aws, clusterId, withHsms((before.Hsms?.length ?? 0) + 1))
}

export function zoneOf(cluster: Cluster, zone: number): string {
  const name = Object.keys(cluster.SubnetMapping ?? {}).toSorted()[zone]
  assert.ok(name)
  return name
}

/** UNINITIALIZED with one HSM → INITIALIZED. */
export async function initialize(aws: CloudHSMV2, clusterId: string, ca: CustomerCa): Promise<Cluster> {
  const { Certificates } = await describeCluster(aws, clusterId)
  assert.ok(Certificates?.ClusterCsr)
  await aws.initializeCluster({
    ClusterId: clusterId,
    SignedCert: await ca.sign(Certificates.ClusterCsr),
    TrustAnchor: ca.certificate,
  })
  return untilCluster(aws, clusterId, inState('INITIALIZED'))
}

export async function readyBackups(aws: CloudHSMV2, clusterId: string): Promise<Backup[]> {
  const { Backups = [] } = await aws.describeBackups({ Filters: { clusterIds: [clusterId], states: ['READY'] } })
  return Backups
}
