/** The part of `docs/protocol.md` that says what a cluster allows: the policy's own table. */
import { CLUSTER_MODES, HSM_TYPES } from '../../../provider-schema/limits.ts'
import { isAllowed, ORIGINS, POLICY_TABLE, type PolicyRow } from '../policy/policy-table.ts'
import { CURVE_STRENGTH, DIGEST_STRENGTH } from '../policy/modes.ts'
import { sizesText } from '../protocol/key-sizes.ts'
import { EC_CURVES, HASHES } from '../protocol/mechanisms.ts'
import { number } from './shapes.ts'

/** Markdown. */
export function policy(): string {
  const rows: readonly PolicyRow[] = POLICY_TABLE
  return `## What a cluster allows

By mechanism or type of key, operation, key, HSM type and mode, in ${number(rows.length)} rows. What stands in none is refused with
\`MechanismInvalid\`, as is everything on \`hsm1.medium\` in \`NON_FIPS\` mode, which is none of its modes; a size that a request may
not even ask for with \`InvalidRequest\`. Each refusal names the rule and the source.

Of \`rsa\`, \`ec\` and the other types of keys, ${ORIGINS.map((origin) => `\`${origin}\``).join(', ')} say how a key comes into being, and its size is
looked at then. Of a mechanism, the key is the one that does it: it has a size already, and every mechanism takes all that its
type of key may have.

| mechanism or type | operation | key | where | source |
|---|---|---|---|---|
${rows.map(rowText).join('\n')}

${rows.flatMap(digestText).join('\n')}
`
}

function digestText({ mechanisms, operations, fipsDigests }: PolicyRow): string[] {
  if (fipsDigests === undefined) return []
  const weakest = EC_CURVES.map((curve) => {
    const hash = HASHES.find((name) => DIGEST_STRENGTH[name] >= CURVE_STRENGTH[curve])
    return `${names(hash ? [hash] : [])} on ${curve}`
  })
  return [
    `In FIPS mode ${names(mechanisms)} may ${operations.join(' and ')} only digests ${fipsDigests}, from`,
    `${weakest.join(', ')} upwards`,
    '(NIST SP 800-57 part 1 rev. 5, tables 2 and 3).',
  ]
}

const names = (list: readonly string[]) => list.map((name) => `\`${name}\``).join(', ')

const rowText = (row: PolicyRow) =>
  `| ${names(row.mechanisms)} | ${names(row.operations)} | ${keysText(row)} | ${whereText(row)} | ${row.source} |`

/** `RSA 2048 to 4096 bits in steps of 256`, `P-224 or P-256`. */
function keysText({ keys }: PolicyRow): string {
  // A curve or parameter set says what key it is.
  const texts = keys.map(
    (sizes) => (sizes.of === 'bits' || sizes.of === 'bytes' ? `${sizes.keys} ` : '') + sizesText(sizes),
  )
  return texts.join('; ') || 'none'
}

function whereText(row: PolicyRow): string {
  const places = HSM_TYPES.flatMap((hsmType) =>
    CLUSTER_MODES.map((mode) => ({ hsmType, mode, allowed: isAllowed(row, mode, hsmType) })),
  )
  const allowed = places.filter((place) => place.allowed)
  const possible = places.filter(({ hsmType, mode }) => hsmType !== 'hsm1.medium' || mode === 'FIPS')
  if (allowed.length === possible.length) return 'anywhere'
  const types = HSM_TYPES.filter((type) => possible.every((at) => at.hsmType !== type || at.allowed))
  return [
    ...types,
    ...allowed.filter(({ hsmType }) => !types.includes(hsmType)).map(({ hsmType, mode }) => `${hsmType} in ${mode}`),
  ].join(', ')
}
