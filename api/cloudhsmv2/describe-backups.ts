/** DescribeBackups: the caller's backups, or those that others share with it, newest first unless asked otherwise, a page at a time. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { BACKUP_STATES } from '../../provider-schema/states.ts'
import type { Backup, BackupQuery } from '../../state/backups.ts'
import type { Access } from '../../state/database.ts'
import { pageToken, positionIn, type PagedQuery } from '../aws-json/page-token.ts'
import { maySee } from './authorize.ts'
import { knownFilters, oneOf } from './filters.ts'
import { query } from './operation.ts'
import { presentBackup, presentSharedBackup } from './present.ts'

const PAGE = 50
const FILTERS = ['backupIds', 'sourceBackupIds', 'clusterIds', 'states', 'neverExpires'] as const

export const describeBackups = query('DescribeBackups', async ({ input, caller, ports, read }) => {
  const filters = knownFilters(input.Filters, FILTERS)
  const { backupIds, sourceBackupIds, clusterIds } = filters
  const states = oneOf('states', filters.states, BACKUP_STATES)
  const neverExpires = truth(filters.neverExpires)
  const shared = input.Shared ?? false
  const ascending = input.SortAscending ?? false
  const paged: PagedQuery = ['DescribeBackups', caller.account, FILTERS.map((name) => filters[name]), ascending, shared]
  const limit = input.MaxResults ?? PAGE
  const query: Omit<BackupQuery, 'after'> = {
    account: caller.account,
    shared,
    ...(backupIds && { ids: backupIds }),
    ...(sourceBackupIds && { sourceBackupIds }),
    ...(clusterIds && { clusterIds }),
    ...(states && { states }),
    ...(neverExpires !== undefined && { neverExpires }),
    // A copy that failed is DELETED: whoever waits for it by name must see that.
    exceptDeleted: shared || (!backupIds && !sourceBackupIds && !states?.includes('DELETED')),
    ascending,
    limit: limit + 1,
  }
  const after =
    input.NextToken === undefined ? undefined : parse(positionIn(ports.pageTokenKey, paged, input.NextToken))
  const found = shared
    ? await sharedPage(read, query, after, (backup) => maySee(backup, caller, ports))
    : await read.backups.page({ ...query, ...(after && { after }) })
  const shown = found.slice(0, limit)
  const last = found.length > limit ? shown.at(-1) : undefined
  return {
    Backups: shown.map((backup) => (shared ? presentSharedBackup : presentBackup)(backup, ports.region)),
    ...(last && {
      NextToken: pageToken(ports.pageTokenKey, paged, `${last.createdAt.getTime()} ${last.id}`),
    }),
  }
})

type Position = NonNullable<BackupQuery['after']>

/**
 * As many as the query asks for of those that others share and whose policy lets the caller see them now. Rows name the
 * account already, so that next to nothing is read in vain.
 */
async function sharedPage(
  read: Access,
  query: Omit<BackupQuery, 'after'>,
  after: Position | undefined,
  isVisible: (backup: Backup) => boolean,
): Promise<Backup[]> {
  const visible: Backup[] = []
  let position = after
  for (;;) {
    const rows = await read.backups.page({ ...query, ...(position && { after: position }) })
    visible.push(...rows.filter(isVisible))
    position = rows.at(-1)
    if (visible.length >= query.limit || rows.length < query.limit) return visible.slice(0, query.limit)
  }
}

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
