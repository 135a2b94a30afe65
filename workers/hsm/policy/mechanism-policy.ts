/** Asking the table of `policy-table.ts`: where keys come into being by their size too, else by the cluster alone. */
import type { ClusterMode, HsmType } from '../../../provider-schema/limits.ts'
import { HsmError } from '../protocol/errors.ts'
import { hasSize, sizeRefusal, type KeySize } from '../protocol/key-sizes.ts'
import {
  isAllowed,
  MODES_PAGE,
  NON_FIPS_RULE,
  POLICY_OPERATIONS,
  POLICY_TABLE,
  TABLE_PAGE,
  type PolicyMechanism,
  type PolicyOperation,
  type PolicyRow,
} from './policy-table.ts'

/** The cluster that is asked. An HSM type that is not known here counts as the newest. */
export interface Place {
  readonly mode: ClusterMode
  readonly hsmType: string
}

/** A row as it is asked: refusals by HSM type and mode; nothing where it is allowed. */
interface Verdicts extends Readonly<Record<HsmType, Readonly<Record<ClusterMode, string | undefined>>>> {
  readonly row: PolicyRow
}

const VERDICTS: ReadonlyMap<PolicyOperation, ReadonlyMap<string, Verdicts>> = tabulate(POLICY_TABLE)

/**
 * Throws MechanismInvalid with the rule and the standard where the cluster does not allow it. Three look-ups: a
 * signature passes here. It asks for no size: a key that is there has one that every mechanism of its type takes (see
 * `PolicyRow.keys`).
 */
export function requireAllowed(mechanism: PolicyMechanism, operation: PolicyOperation, { mode, hsmType }: Place): void {
  const verdicts = VERDICTS.get(operation)?.get(mechanism)
  if (!verdicts) throw unlisted(mechanism, operation)
  const refusal = verdicts[hsmType === 'hsm1.medium' ? 'hsm1.medium' : 'hsm2m.medium'][mode]
  if (refusal !== undefined) throw new HsmError('MechanismInvalid', refusal)
}

/**
 * The same for a key of this size, asked wherever one comes into being. Throws MechanismInvalid: of the cluster's refusal
 * and the size's, the first.
 */
export function requireAllowedSize(
  mechanism: PolicyMechanism,
  operation: PolicyOperation,
  size: KeySize,
  place: Place,
): void {
  requireAllowed(mechanism, operation, place)
  const { keys } = rowOf(mechanism, operation)
  if (keys.some((sizes) => hasSize(sizes, size))) return
  const refusals = keys.map((sizes) => sizeRefusal(sizes, size))
  throw new HsmError('MechanismInvalid', refusals.join('; ') || `${mechanism} takes no key (${TABLE_PAGE})`)
}

/** Throws MechanismInvalid where the table has none. */
export function rowOf(mechanism: PolicyMechanism, operation: PolicyOperation): PolicyRow {
  const verdicts = VERDICTS.get(operation)?.get(mechanism)
  if (!verdicts) throw unlisted(mechanism, operation)
  return verdicts.row
}

const unlisted = (mechanism: string, operation: PolicyOperation) =>
  new HsmError(
    'MechanismInvalid',
    `invalid mechanism: ${mechanism} does not ${operation} on any HSM type or in any mode: ` +
      `a mechanism does only what is listed for it (${TABLE_PAGE})`,
  )

function tabulate(rows: readonly PolicyRow[]): Map<PolicyOperation, Map<string, Verdicts>> {
  const table = new Map(POLICY_OPERATIONS.map((operation) => [operation, new Map<string, Verdicts>()]))
  for (const row of rows) {
    for (const operation of row.operations) {
      for (const mechanism of row.mechanisms) {
        if (table.get(operation)?.has(mechanism)) throw new Error(`two rows for ${operation} with ${mechanism}`)
        table.get(operation)?.set(mechanism, verdictsOf(row, mechanism, operation))
      }
    }
  }
  return table
}

function verdictsOf(row: PolicyRow, mechanism: string, operation: PolicyOperation): Verdicts {
  const verdict = (hsmType: HsmType, mode: ClusterMode) => {
    if (isAllowed(row, mode, hsmType)) return undefined
    const impossible = mode === 'NON_FIPS' && hsmType === 'hsm1.medium'
    const why = impossible ? `${NON_FIPS_RULE} (${MODES_PAGE})` : `${row.rule} (${row.source})`
    return `invalid mechanism: ${mechanism} does not ${operation} on ${hsmType} in ${mode} mode: ${why}`
  }
  const both = (hsmType: HsmType) => ({ FIPS: verdict(hsmType, 'FIPS'), NON_FIPS: verdict(hsmType, 'NON_FIPS') })
  return { 'hsm1.medium': both('hsm1.medium'), 'hsm2m.medium': both('hsm2m.medium'), row }
}
