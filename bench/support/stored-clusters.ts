/** Many ACTIVE clusters of two HSMs each, as a busy region would have them. */
import { Client } from 'pg'
import type { AccountId } from '../../provider-schema/ids.ts'
import { newClusterId, newEniId, newHsmId, newSecurityGroupId, newVpcId } from '../../provider-schema/ids.ts'

export const BENCH_ACCOUNT = '000000000000' as AccountId
const SUBNETS = { 'us-east-1a': 'subnet-0a0a0a0a0a0a0a0a1', 'us-east-1b': 'subnet-0a0a0a0a0a0a0a0a2' }
const TAGS = { Owner: 'bench', Stage: 'load' }
/** Of the size of a certificate with an RSA-2048 key; what is in it does not matter here. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----\n${`${'A'.repeat(64)}\n`.repeat(18)}-----END CERTIFICATE-----\n`

/** All at once; then statistics are made and pages are written, as they would have been by the time there are so many. */
export async function storeClusters(databaseUrl: string, count: number): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const ids = Array.from({ length: count }, newClusterId)
    await client.query(
      `insert into clusters (id, account, hsm_type, mode, network_type, state, subnet_mapping, vpc_id, security_group,
         retention_days, cluster_certificate, trust_anchor, tags, created_at)
       select id, $2, 'hsm2m.medium', 'FIPS', 'IPV4', 'ACTIVE', $3::jsonb, $4, $5, 90, $6, $6, $7::jsonb, now()
       from unnest($1::text[]) as id`,
      [
        ids,
        BENCH_ACCOUNT,
        JSON.stringify(SUBNETS),
        newVpcId(),
        newSecurityGroupId(),
        CERTIFICATE,
        JSON.stringify(TAGS),
      ],
    )
    for (const [at, [zone, subnet]] of Object.entries(SUBNETS).entries()) {
      await client.query(
        `insert into hsms (id, cluster_id, account, hsm_type, availability_zone, subnet_id, eni_id, eni_ip, listen_ip, state,
           state_message, member, created_at)
         select hsm, cluster, $4, 'hsm2m.medium', $5, $6, eni, ip, ip, 'ACTIVE', 'HSM created.', true, now()
         from unnest($1::text[], $2::text[], $3::text[], $7::text[]) as new (hsm, cluster, eni, ip)`,
        [
          ...[ids.map(newHsmId), ids, ids.map(newEniId), BENCH_ACCOUNT, zone, subnet],
          ids.map((_, i) => `127.${80 + at}.${i >> 8}.${i & 255}`),
        ],
      )
    }
    await client.query('vacuum analyze')
    await client.query('checkpoint')
  } finally {
    await client.end()
  }
}
