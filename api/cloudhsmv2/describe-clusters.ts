/** DescribeClusters: the caller's clusters in ascending order of id, a page at a time. Never waits for an HSM. */
import { LIMITS } from '../../provider-schema/limits.ts'
import { CLUSTER_STATES } from '../../provider-schema/states.ts'
import { clusterPage } from '../../state/cluster-page.ts'
import { pageToken, positionIn, type PagedQuery } from '../aws-json/page-token.ts'
import { knownFilters, oneOf } from './filters.ts'
import { query } from './operation.ts'
import { presentCluster } from './present.ts'

const PAGE = 25
/** For this long a deleted cluster can still be asked for: old Terraform versions wait to see DELETED (reference §0). */
const DELETED_SHOWN_MS = LIMITS.deletedClusterHours * 3_600_000

export const describeClusters = query('DescribeClusters', async ({ input, caller, ports }) => {
  const { clusterIds, vpcIds, states } = knownFilters(input.Filters, ['clusterIds', 'vpcIds', 'states'])
  const wanted = oneOf('states', states, CLUSTER_STATES)
  const paged: PagedQuery = ['DescribeClusters', caller.account, clusterIds, vpcIds, states]
  const limit = input.MaxResults ?? PAGE
  const found = await clusterPage(ports.database.pool, {
    account: caller.account,
    ...(clusterIds && { ids: clusterIds }),
    ...(vpcIds && { vpcIds }),
    ...(wanted && { states: wanted }),
    exceptDeleted: !clusterIds && !wanted?.includes('DELETED'),
    goneSince: new Date(ports.clock().getTime() - DELETED_SHOWN_MS),
    ...(input.NextToken !== undefined && { after: positionIn(ports.pageTokenKey, paged, input.NextToken) }),
    // One more than is shown tells whether there is a next page.
    limit: limit + 1,
  })
  const shown = found.slice(0, limit)
  const last = found.length > limit ? shown.at(-1) : undefined
  return {
    Clusters: shown.map(({ cluster, hsms }) => presentCluster(cluster, hsms)),
    ...(last && { NextToken: pageToken(ports.pageTokenKey, paged, last.cluster.id) }),
  }
})
