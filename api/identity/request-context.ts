/** The condition keys of a request (IAM user guide, "AWS global condition context keys"). */
import type { RequestContext } from './context.ts'
import type { Principal } from './principal.ts'

export interface RequestFacts {
  readonly principal: Principal
  readonly region: string
  readonly sourceIp: string | undefined
  readonly now: Date
  readonly requestTags?: readonly (readonly [string, string])[]
  /** Keys of tags that the request names; undefined when it names none. */
  readonly tagKeys?: readonly string[]
  readonly resourceTags?: Readonly<Record<string, string>>
  readonly resourceAccount?: string
  /** Keys of one service, e.g. `sts:ExternalId`. */
  readonly more?: Readonly<Record<string, string>>
}

export function contextOf(facts: RequestFacts): RequestContext {
  const { principal, region, sourceIp, now } = facts
  const context = new Map<string, readonly string[]>([
    ['aws:currenttime', [now.toISOString()]],
    ['aws:epochtime', [String(Math.floor(now.getTime() / 1000))]],
    ['aws:requestedregion', [region]],
    ['aws:principalarn', [principal.identityArn]],
    ['aws:principalaccount', [principal.account]],
    ['aws:principaltype', [PRINCIPAL_TYPES[principal.type]]],
    ['aws:userid', [principal.userId]],
    ['aws:principalisawsservice', ['false']],
    ['aws:viaawsservice', ['false']],
  ])
  const set = (key: string, value: string | undefined) => {
    if (value !== undefined) context.set(key.toLowerCase(), [value])
  }
  set('aws:sourceip', sourceIp)
  set('aws:username', principal.userName)
  set('aws:tokenissuetime', principal.session?.issuedAt.toISOString())
  // There is no second factor here. As at AWS the key is absent of credentials that are not temporary.
  set('aws:multifactorauthpresent', principal.session ? 'false' : undefined)
  set('aws:resourceaccount', facts.resourceAccount)
  setTags(context, 'aws:principaltag/', Object.entries(principal.tags))
  setTags(context, 'aws:requesttag/', facts.requestTags ?? [])
  setTags(context, 'aws:resourcetag/', Object.entries(facts.resourceTags ?? {}))
  for (const [key, value] of Object.entries(facts.more ?? {})) set(key, value)
  if (facts.tagKeys) context.set('aws:tagkeys', facts.tagKeys)
  return context
}

/** As they are written, and in lower case for policies that write them otherwise. */
function setTags(
  context: Map<string, readonly string[]>,
  prefix: string,
  tags: readonly (readonly [string, string])[],
): void {
  for (const [key, value] of tags) context.set(`${prefix}${key}`, [value])
  for (const [key, value] of tags) {
    const lower = `${prefix}${key.toLowerCase()}`
    if (!context.has(lower)) context.set(lower, [value])
  }
}

const PRINCIPAL_TYPES = { Root: 'Account', IAMUser: 'User', AssumedRole: 'AssumedRole' } as const
