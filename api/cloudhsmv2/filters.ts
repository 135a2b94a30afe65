/** The Filters member: which names an operation knows, and what values they may have. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import type { FiltersShape } from '../../provider-schema/shapes.ts'

/** Filters by name. Throws CloudHsmInvalidRequestException for a name that the operation does not know, or no value. */
export function knownFilters<Name extends string>(
  filters: FiltersShape | undefined,
  names: readonly Name[],
): Partial<Record<Name, readonly string[]>> {
  const known: Partial<Record<Name, readonly string[]>> = {}
  for (const [given, values] of Object.entries(filters ?? {})) {
    const name = names.find((each) => each === given)
    if (name === undefined) throw invalidRequest(`Unknown filter '${given}'. Known: ${names.join(', ')}.`)
    if (values.length === 0) throw invalidRequest(`The filter '${name}' has no value.`)
    known[name] = values.map(storable)
  }
  return known
}

/** PostgreSQL's text has no NUL; what stands for it here is in no id and no state either, so that it finds nothing. */
const storable = (value: string) => value.replaceAll('\0', '\uFFFD')

/** Values that must come from a fixed set, in AWS's words when they do not. */
export function oneOf<Value extends string>(
  filter: string,
  values: readonly string[] | undefined,
  allowed: readonly Value[],
): readonly Value[] | undefined {
  return values?.map((value) => {
    const found = allowed.find((each) => each === value)
    if (found !== undefined) return found
    throw invalidRequest(
      `1 validation error detected: Value '${value.slice(0, 64)}' at 'filters.${filter}' failed to satisfy constraint: Member must satisfy enum value set: [${allowed.join(', ')}]`,
    )
  })
}
