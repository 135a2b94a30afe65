/** How a refusal is worded (IAM user guide, "Troubleshoot access denied error messages"). */
import type { Decision } from './evaluate.ts'

export function refusalText(
  principalArn: string,
  { action, resource }: { readonly action: string; readonly resource: string },
  { explicit, by }: Extract<Decision, { allowed: false }>,
): string {
  const why = explicit
    ? `with an explicit deny in ${by === 'identity-based' ? 'an' : 'a'} ${by} policy`
    : `because no ${by} policy allows the ${action} action`
  return `User: ${principalArn} is not authorized to perform: ${action} on resource: ${resource} ${why}`
}
