/** Policies that share a backup: which documents are accepted, and what a stored one says. */
import type { Logger } from 'pino'
import { SHAREABLE } from '../../provider-schema/access.ts'
import { invalidRequest } from '../../provider-schema/errors.ts'
import type { AccountId, BackupId } from '../../provider-schema/ids.ts'
import type { OperationName } from '../../provider-schema/operations.ts'
import type { Access } from '../../state/database.ts'
import type { Backup } from '../../state/backups.ts'
import { matchesArn } from '../identity/arn.ts'
import { MalformedPolicy, parsePolicy, type Policy, type Statement } from '../identity/policy.ts'
import { matches } from '../identity/wildcard.ts'
import type { ApiPorts } from '../ports.ts'

const NO_VARIABLES = () => undefined

/** Accounts that a document lets see the backup. Throws CloudHsmInvalidRequestException when it cannot be put on it. */
export function consumersOf(document: string, arn: string): AccountId[] {
  const accounts = new Set<string>()
  for (const statement of readDocument(document).statements) {
    requireResource(statement, arn)
    requireShareableActions(statement)
    const { effect, principals } = statement
    if (effect === 'Deny') continue
    if (principals === undefined || principals === 'everybody') {
      throw invalidRequest('The policy must not share the backup with everybody: name accounts as its Principal.')
    }
    if (!isAbout(statement, 'DescribeBackups')) continue
    if (principals.arns.size > 0) {
      throw invalidRequest('cloudhsm:DescribeBackups can be granted to a whole account only, not to a user or role.')
    }
    for (const account of principals.accounts) accounts.add(account)
  }
  return [...accounts].toSorted() as AccountId[]
}

function readDocument(document: string): Policy {
  try {
    return parsePolicy(document, 'resource')
  } catch (error) {
    if (error instanceof MalformedPolicy) throw invalidRequest(error.message)
    throw error
  }
}

function requireResource({ resources }: Statement, arn: string): void {
  if (resources?.except === false && resources.items.every((each) => matchesArn(each, arn, NO_VARIABLES))) return
  throw invalidRequest(`Each statement's Resource must be the backup that the policy is put on: ${arn}`)
}

const isAbout = ({ actions }: Statement, operation: OperationName) =>
  actions.items.some((pattern) => matches(pattern, `cloudhsm:${operation}`.toLowerCase(), NO_VARIABLES))

/** `*` and `cloudhsm:*` are accepted, and mean these. */
function requireShareableActions(statement: Statement): void {
  const { items, except } = statement.actions
  const each = items.map((item) => ({ ...statement, actions: { items: [item], except: false } }))
  if (!except && each.every((one) => SHAREABLE.some((operation) => isAbout(one, operation)))) return
  const actions = SHAREABLE.map((operation) => `cloudhsm:${operation}`).join(', ')
  throw invalidRequest(`The policy of a backup can name these actions only: ${actions}.`)
}

/** A stored document that this version cannot read shares nothing. */
export function resourcePolicyOf(
  { resourcePolicy, id }: Pick<Backup, 'resourcePolicy' | 'id'>,
  log: Logger,
): Policy | undefined {
  if (resourcePolicy === null) return undefined
  try {
    return parsePolicy(resourcePolicy, 'resource')
  } catch (error) {
    if (!(error instanceof MalformedPolicy)) throw error
    log.error({ backup: id, why: error.message }, 'a stored resource policy cannot be read: nothing is shared by it')
    return undefined
  }
}

/**
 * The backup that ResourceArn names, locked. Throws CloudHsmInvalidRequestException when it names none, and
 * CloudHsmResourceNotFoundException when there is none such in this account and region.
 */
export async function ownBackup(
  arn: string | undefined,
  account: AccountId,
  tx: Access,
  ports: ApiPorts,
): Promise<Backup & { readonly arn: string }> {
  const { id, owner, region } = backupIn(arn)
  // Another account's would have been refused by IAM; another region's is not here.
  const backup = await tx.backups.forUpdate(region === ports.region && owner === account ? account : NOBODY, id)
  return { ...backup, arn: `arn:aws:cloudhsm:${ports.region}:${account}:backup/${backup.id}` }
}

/** No account has this id. */
const NOBODY = '' as AccountId

/** The parts of a backup's ARN. Throws CloudHsmInvalidRequestException. */
export function backupIn(arn: string | undefined): { id: BackupId; owner: AccountId; region: string } {
  if (arn === undefined) throw invalidRequest('The ARN of a backup must be given as ResourceArn.')
  const [, , , region = '', owner = '', resource = ''] = arn.split(':')
  const [kind, id = ''] = resource.split('/')
  if (kind !== 'backup') throw invalidRequest('Only backups have resource policies.')
  return { id: id as BackupId, owner: owner as AccountId, region }
}
