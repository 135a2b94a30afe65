/** Principals as policies of resources and roles name them. */

/** Whom a statement is about. */
export type Principals =
  | 'everybody'
  | {
      /** Account ids: the whole account, which then decides for itself who of it may. */
      readonly accounts: ReadonlySet<string>
      /** ARNs of users, roles or sessions. */
      readonly arns: ReadonlySet<string>
    }

/** Who asks, as far as principals are concerned. */
export interface Asking {
  readonly account: string
  /** What the principal calls itself: of a session its own ARN. */
  readonly arn: string
  /** Of the user or role behind it, e.g. `arn:aws:iam::111122223333:role/ops`; the same as `arn` for a user. */
  readonly identityArn: string
}

/** How a statement names who asks: by its own name, by its account, or not at all. */
export type Naming = 'itself' | 'account' | undefined

const ACCOUNT = /^(?:arn:aws(?:-us-gov|-cn)?:iam::(\d{12}):root|(\d{12}))$/
const IDENTITY = /^arn:aws(?:-us-gov|-cn)?:(?:iam::\d{12}:(?:user|role)|sts::\d{12}:assumed-role)\/[\w+=,.@/-]{1,200}$/
const MOST = 200

/** Reads a Principal element. Throws a SyntaxError with a text for the author of the policy. */
export function principalsOf(element: unknown): Principals {
  if (element === '*') return 'everybody'
  if (typeof element !== 'object' || element === null || Array.isArray(element)) {
    throw new SyntaxError('Principal must be "*" or an object, e.g. {"AWS": "111122223333"}')
  }
  const accounts = new Set<string>()
  const arns = new Set<string>()
  const kinds = Object.entries(element)
  if (kinds.length === 0) throw new SyntaxError('Principal names nobody')
  for (const [kind, named] of kinds) {
    if (!['AWS', 'Service', 'Federated', 'CanonicalUser'].includes(kind)) {
      throw new SyntaxError(`Principal has no kind '${kind.slice(0, 64)}'`)
    }
    const names: unknown[] = Array.isArray(named) ? named : [named]
    if (names.length === 0 || names.length > MOST) throw new SyntaxError(`Principal names 1 to ${MOST} principals`)
    for (const name of names) {
      if (typeof name !== 'string') throw new SyntaxError('a principal must be a text')
      // Services and federated identities exist at AWS only: nobody here is one.
      if (kind !== 'AWS') continue
      if (name === '*') return 'everybody'
      const account = ACCOUNT.exec(name)
      if (account) accounts.add(account[1] ?? account[2] ?? '')
      else if (IDENTITY.test(name)) arns.add(name)
      else throw new SyntaxError(`'${name.slice(0, 128)}' is neither an account nor the ARN of a user, role or session`)
    }
  }
  return { accounts, arns }
}

export function namingOf(principals: Principals, who: Asking): Naming {
  if (principals === 'everybody') return 'itself'
  if (principals.arns.has(who.arn) || principals.arns.has(who.identityArn)) return 'itself'
  return principals.accounts.has(who.account) ? 'account' : undefined
}
