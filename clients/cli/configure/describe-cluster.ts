/** Asks the control plane where a cluster's HSMs are. */
import { isIP } from 'node:net'
import { CloudHSMV2Client, DescribeClustersCommand } from '@aws-sdk/client-cloudhsm-v2'
import { CliError } from '../cli-error.ts'

export interface ClusterQuestion {
  readonly clusterId: string
  /** URL of the API; AWS's own for the region when left out. */
  readonly endpoint?: string | undefined
  /** Else from the environment or the profile; else us-east-1 (data-plane §2.5). */
  readonly region?: string | undefined
}

const FALLBACK_REGION = 'us-east-1'

/**
 * Addresses of the active HSMs. Credentials come from where AWS's tools look for them. Throws CliError when there is no
 * such cluster, it has no active HSM, or the API cannot be asked.
 */
export async function activeHsmAddresses(
  { clusterId, endpoint, region }: ClusterQuestion,
  environment: NodeJS.ProcessEnv,
): Promise<string[]> {
  const chosen = region ?? environment.AWS_DEFAULT_REGION ?? environment.AWS_REGION ?? (await profileRegion())
  const client = new CloudHSMV2Client({ region: chosen, maxAttempts: 2, ...(endpoint !== undefined && { endpoint }) })
  const where = `${endpoint ?? "AWS's endpoint"} (region ${chosen})`
  try {
    const { Clusters: [cluster] = [] } = await client.send(
      new DescribeClustersCommand({ Filters: { clusterIds: [clusterId] } }),
    )
    if (!cluster) throw new CliError(`There is no cluster ${clusterId} at ${where}`)
    const active = (cluster.Hsms ?? []).filter(({ State }) => State === 'ACTIVE')
    const addresses = active.flatMap(({ EniIp, StateMessage }) => listensOn(StateMessage) ?? EniIp ?? [])
    if (addresses.length === 0) throw new CliError(`The cluster ${clusterId} has no active HSM: create one first`)
    return addresses
  } catch (error) {
    if (error instanceof CliError) throw error
    throw new CliError(`cannot ask ${where} about ${clusterId}: ${reasonOf(error)}`)
  } finally {
    client.destroy()
  }
}

/**
 * Where an HSM listens when its machine cannot bind the address it has in the API: Strongroom says so in StateMessage.
 * AWS never does.
 */
function listensOn(stateMessage: string | undefined): string | undefined {
  const address = /It listens on (\S+): /.exec(stateMessage ?? '')?.[1]
  return address !== undefined && isIP(address) !== 0 ? address : undefined
}

async function profileRegion(): Promise<string> {
  const client = new CloudHSMV2Client({})
  try {
    return await client.config.region()
  } catch {
    return FALLBACK_REGION // no profile, or one without a region
  } finally {
    client.destroy()
  }
}

/** A refused connection to a name with several addresses has an empty message and the reasons inside. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(String).join('; ')
  if (!(error instanceof Error)) return String(error)
  return error.message ? `${error.name}: ${error.message}` : error.name
}
