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
  for (const [key, value] of Object.entries(principal.tags)) set(`aws:principaltag/${key}`, value)
  for (const [key, value] of facts.requestTags ?? []) set(`aws:requesttag/${key}`, value)
  for (const [key, value] of Object.entries(facts.resourceTags ?? {})) set(`aws:resourcetag/${key}`, value)
  for (const [key, value] of Object.entries(facts.more ?? {})) set(key, value)
  if (facts.tagKeys) context.set('aws:tagkeys', facts.tagKeys)
  return context
}

const PRINCIPAL_TYPES = { Root: 'Account', IAMUser: 'User', AssumedRole: 'AssumedRole' } as const
