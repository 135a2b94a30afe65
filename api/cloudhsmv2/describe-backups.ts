/** DescribeBackups: the caller's backups, newest first unless asked otherwise, a page at a time. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { BACKUP_STATES } from '../../provider-schema/states.ts'
import { pageToken, positionIn, type PagedQuery } from '../aws-json/page-token.ts'
import { knownFilters, oneOf } from './filters.ts'
import { query } from './operation.ts'
import { presentBackup } from './present.ts'

const PAGE = 50
const FILTERS = ['backupIds', 'sourceBackupIds', 'clusterIds', 'states', 'neverExpires'] as const

export const describeBackups = query('DescribeBackups', async ({ input, caller, ports, read }) => {
  const filters = knownFilters(input.Filters, FILTERS)
  const { backupIds, sourceBackupIds, clusterIds } = filters
  const states = oneOf('states', filters.states, BACKUP_STATES)
  const neverExpires = truth(filters.neverExpires)
  // Backups become shared by resource policies; nobody has shared one yet.
  if (input.Shared === true) return { Backups: [] }
  const ascending = input.SortAscending ?? false
  const paged: PagedQuery = ['DescribeBackups', caller.account, FILTERS.map((name) => filters[name]), ascending]
  const limit = input.MaxResults ?? PAGE
  const found = await read.backups.page({
    account: caller.account,
    ...(backupIds && { ids: backupIds }),
    ...(sourceBackupIds && { sourceBackupIds }),
    ...(clusterIds && { clusterIds }),
    ...(states && { states }),
    ...(neverExpires !== undefined && { neverExpires }),
    // A copy that failed is DELETED: whoever waits for it by name must see that.
    exceptDeleted: !backupIds && !sourceBackupIds && !states?.includes('DELETED'),
    ascending,
    ...(input.NextToken !== undefined && { after: parse(positionIn(ports.pageTokenKey, paged, input.NextToken)) }),
    limit: limit + 1,
  })
  const shown = found.slice(0, limit)
  const last = found.length > limit ? shown.at(-1) : undefined
  return {
    Backups: shown.map((backup) => presentBackup(backup, ports.region)),
    ...(last && {
      NextToken: pageToken(ports.pageTokenKey, paged, `${last.createdAt.getTime()} ${last.id}`),
    }),
  }
})

function parse(position: string): { createdAt: Date; id: string } {
  const [at = '', id = ''] = position.split(' ')
  return { createdAt: new Date(Number(at)), id }
}

/** `true` or `false` in whatever case (the spelling is not documented); both together mean either. */
function truth(values: readonly string[] | undefined): boolean | undefined {
  if (!values) return undefined
  const asked = new Set(values.map((value) => value.toLowerCase()))
  for (const value of asked) {
    if (value !== 'true' && value !== 'false') {
      throw invalidRequest("The filter 'neverExpires' must be 'true' or 'false'.")
    }
  }
  return asked.size === 1 ? asked.has('true') : undefined
}
