/**
 * What somebody who has just started it wants to know. Its commands name the endpoint: an AWS CLI before 1.29 or 2.13 does
 * not know the variable.
 */
import { DEFAULT_ACCOUNTS, type Configuration } from '../configuration/configuration.ts'
import { VERSION } from '../version.ts'
import { isDeepStrictEqual } from 'node:util'

export interface Started {
  readonly url: string
  /** Of the embedded PostgreSQL. */
  readonly postgresPort: number | undefined
  readonly ms: number
}

export function welcome(configuration: Configuration, { url, postgresPort, ms }: Started): string {
  const { data, regions, accounts, ephemeral } = configuration
  const [region = ''] = regions
  const areDefault = isDeepStrictEqual(accounts, DEFAULT_ACCOUNTS)
  const keys = accounts.flatMap((account) => account.accessKeys.map((key) => `${key.id} (account ${account.id})`))
  const rows = [
    ['endpoint', url],
    ['regions', regions.join(', ')],
    // A secret that somebody chose is not printed.
    [
      'credentials',
      areDefault
        ? 'access key test, secret test, account 000000000000'
        : keys.join(', ') || 'those that "strongroom account" made',
    ],
    ['data', ephemeral ? `${data} (removed at the end)` : data],
    ['database', postgresPort === undefined ? 'your PostgreSQL server' : `PostgreSQL, embedded, port ${postgresPort}`],
  ]
  const secret = areDefault
    ? 'AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test'
    : 'AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…'
  return `
Strongroom ${VERSION} is ready (${(ms / 1000).toFixed(1)} s).

${rows.map(([name = '', value = '']) => `  ${name.padEnd(12)} ${value}`).join('\n')}

Next, in another terminal:

  export AWS_ENDPOINT_URL=${url} AWS_DEFAULT_REGION=${region}
  export ${secret}
  aws --endpoint-url $AWS_ENDPOINT_URL cloudhsmv2 create-cluster --hsm-type hsm2m.medium \\
      --subnet-ids subnet-0a0a0a0a subnet-0b0b0b0b
  aws --endpoint-url $AWS_ENDPOINT_URL cloudhsmv2 describe-clusters

The HSMs are software and have no FIPS certificate.
`
}
