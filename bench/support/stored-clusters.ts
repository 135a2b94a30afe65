/** Many ACTIVE clusters of two HSMs each, as a busy region would have them. */
import type { AccountId, SubnetId } from '../../provider-schema/ids.ts'
import { newClusterId, newEniId, newHsmId, newSecurityGroupId, newVpcId } from '../../provider-schema/ids.ts'
import { openDatabase } from '../../state/database.ts'

export const BENCH_ACCOUNT = '000000000000' as AccountId
const SUBNETS = ['subnet-0a0a0a0a0a0a0a0a1', 'subnet-0a0a0a0a0a0a0a0a2'] as SubnetId[]
const ZONES = ['us-east-1a', 'us-east-1b']
/** Of the size of a certificate with an RSA-2048 key; what is in it does not matter here. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----\n${`${'A'.repeat(64)}\n`.repeat(18)}-----END CERTIFICATE-----\n`

export async function storeClusters(databaseUrl: string, count: number): Promise<void> {
  const database = openDatabase({ url: databaseUrl })
  const vpcId = newVpcId()
  await database.transaction(async (tx) => {
    for (let i = 0; i < count; i++) {
      const cluster = await tx.clusters.insert({
        id: newClusterId(),
        account: BENCH_ACCOUNT,
        hsmType: 'hsm2m.medium',
        mode: 'FIPS',
        networkType: 'IPV4',
        state: 'ACTIVE',
        subnetMapping: Object.fromEntries(SUBNETS.map((subnet, at) => [ZONES[at] ?? '', subnet])),
        vpcId,
        securityGroup: newSecurityGroupId(),
        retentionDays: 90,
        clusterCertificate: CERTIFICATE,
        trustAnchor: CERTIFICATE,
        tags: { Owner: 'bench', Stage: 'load' },
        createdAt: new Date(),
      })
      for (const at of [0, 1]) {
        const ip = `127.${80 + at}.${i >> 8}.${i & 255}`
        await tx.hsms.insert({
          id: newHsmId(),
          clusterId: cluster.id,
          account: BENCH_ACCOUNT,
          hsmType: 'hsm2m.medium',
          availabilityZone: ZONES[at] ?? '',
          subnetId: SUBNETS[at] ?? ('' as SubnetId),
          eniId: newEniId(),
          eniIp: ip,
          listenIp: ip,
          state: 'ACTIVE',
          stateMessage: 'HSM created.',
          member: true,
          createdAt: new Date(),
        })
      }
    }
  })
  await database.pool.query('analyze')
  await database.close()
}
