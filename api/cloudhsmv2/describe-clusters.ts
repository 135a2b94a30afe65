/** DescribeClusters: the caller's clusters in ascending order of id, a page at a time. Never waits for an HSM. */
import { LIMITS } from '../../provider-schema/limits.ts'
import { CLUSTER_STATES } from '../../provider-schema/states.ts'
import type { ClusterQuery } from '../../state/cluster-page.ts'
import { pageToken, positionIn, type PagedQuery } from '../aws-json/page-token.ts'
import { Serialised } from '../aws-json/reply.ts'
import { clusterPagesOf } from './cluster-pages.ts'
import { knownFilters, oneOf } from './filters.ts'
import { query } from './operation.ts'

const PAGE = 25
/** For this long a deleted cluster can still be asked for: old Terraform versions wait to see DELETED (reference §0). */
const DELETED_SHOWN_MS = LIMITS.deletedClusterHours * 3_600_000

export const describeClusters = query('DescribeClusters', async ({ input, caller, ports }) => {
  const { clusterIds, vpcIds, states } = knownFilters(input.Filters, ['clusterIds', 'vpcIds', 'states'])
  const wanted = oneOf('states', states, CLUSTER_STATES)
  const paged: PagedQuery = ['DescribeClusters', caller.account, clusterIds, vpcIds, states]
  const limit = input.MaxResults ?? PAGE
  const clusters: ClusterQuery = {
    account: caller.account,
    ...(clusterIds && { ids: clusterIds }),
    ...(vpcIds && { vpcIds }),
    ...(wanted && { states: wanted }),
    ...(!clusterIds && !wanted?.includes('DELETED')
      ? { exceptDeleted: true }
      : { goneSince: new Date(wholeMinute(ports.clock().getTime() - DELETED_SHOWN_MS)) }),
    ...(input.NextToken !== undefined && { after: positionIn(ports.pageTokenKey, paged, input.NextToken) }),
    // One more than is shown tells whether there is a next page.
    limit: limit + 1,
  }
  return new Serialised(
    await clusterPagesOf(ports.database).read(clusters, limit, (last) => pageToken(ports.pageTokenKey, paged, last)),
  )
})

/** So that the same question is the same for a while, and its answer can be kept. */
const wholeMinute = (ms: number) => Math.floor(ms / 60_000) * 60_000
