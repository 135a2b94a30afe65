/**
 * The IdentityPort: access keys of the configuration, those of the directory in the region's database, and temporary
 * ones, which carry all there is to know of them in their token.
 */
import type { Logger } from 'pino'
import { ACCESS_KEY_ID, newTemporaryKeyId } from '../../provider-schema/identity.ts'
import type { Database } from '../../state/database.ts'
import type { AccessKey, IdentityPort, SessionRequest, TemporaryCredentials } from '../ports.ts'
import type { IdentityKey, Session } from './identity-key.ts'
import { MalformedPolicy, parsePolicy, SILENT } from './policy.ts'
import { assumedRoleOf, roleArn, type Identity } from './principal.ts'
import type { Secret } from './secret.ts'
import { snapshotOf, type Snapshot } from './snapshot.ts'

export interface IdentitySources {
  /** By access key id; each may do everything in its account. */
  readonly configured: ReadonlyMap<string, AccessKey>
  readonly database: Database
  readonly identityKey: IdentityKey
  readonly log: Logger
  /** How old what is known of the directory may be. */
  readonly freshMs?: number
}

/** Temporary keys that are in use at a time; beyond it the oldest is read again. */
const MOST_SESSIONS = 1_000
const TEMPORARY_KEY_ID = /^ASIA[A-Z2-7]{16}$/

export function identities({ configured, database, identityKey, log, freshMs = 1_000 }: IdentitySources): IdentityPort {
  const current = currentSnapshot(database, identityKey, log, freshMs)
  const opened = new Map<string, { readonly session: Session; readonly secret: Secret }>()

  const openToken = (accessKeyId: string, token: string) => {
    const name = `${accessKeyId} ${token}`
    const known = opened.get(name)
    if (known) return known
    const session = identityKey.openSession(token, accessKeyId)
    if (!session) return undefined
    const found = { session, secret: identityKey.sessionSecret(token, accessKeyId) }
    if (opened.size >= MOST_SESSIONS) {
      for (const oldest of opened.keys()) {
        opened.delete(oldest)
        break
      }
    }
    opened.set(name, found)
    return found
  }

  return {
    find: async (accessKeyId, token) => {
      if (token === undefined) {
        const found = configured.get(accessKeyId)
        if (found || !ACCESS_KEY_ID.test(accessKeyId)) return found
        return (await current()).accessKey(accessKeyId)
      }
      if (!TEMPORARY_KEY_ID.test(accessKeyId)) return undefined
      const found = openToken(accessKeyId, token)
      if (!found) return undefined
      const { session, secret } = found
      const identity =
        session.kind === 'configured' ? behindConfigured(session, configured) : behind(session, await current())
      return identity && { ...narrowed(identity, session), secret }
    },
    role: async (arn) => (await current()).role(arn),
    issue: (request) => issue(request, identityKey),
    isConfigured: (accessKeyId) => configured.has(accessKeyId),
  }
}

/** Asks the database once in a while whether there is a newer directory. Requests that come meanwhile share the answer. */
function currentSnapshot(database: Database, identityKey: IdentityKey, log: Logger, freshMs: number) {
  const report = (trouble: object) => log.error(trouble, 'a stored policy cannot be read: nothing is allowed by it')
  let held: { readonly stamp: string; readonly snapshot: Snapshot } | undefined
  let lookedAt = -Infinity
  let looking: Promise<Snapshot> | undefined
  const look = async (): Promise<Snapshot> => {
    const began = performance.now()
    const { stamp } = await database.read.identity.version()
    if (held?.stamp !== stamp) {
      const loaded = await database.read.identity.load()
      held = { stamp: loaded.stamp, snapshot: snapshotOf(loaded.directory, identityKey, report) }
    }
    lookedAt = began
    return held.snapshot
  }
  return (): Promise<Snapshot> => {
    if (held && performance.now() - lookedAt < freshMs) return Promise.resolve(held.snapshot)
    looking ??= look().finally(() => (looking = undefined))
    return looking
  }
}

/** A user that is not configured any more has no sessions either. */
function behindConfigured({ account, principalId }: Session, configured: IdentitySources['configured']) {
  const found = configured.get(principalId)
  return found?.principal.account === account ? found : undefined
}

/** Who a session belongs to, with the policies of today: a user or role that is gone takes its sessions with it. */
function behind(session: Session, snapshot: Snapshot): Identity | undefined {
  const { account, kind, name, principalId, sessionName = '' } = session
  if (kind === 'root') return snapshot.root(account)
  if (kind === 'user') {
    const user = snapshot.user(account, name)
    return user?.id === principalId ? user : undefined
  }
  const role = snapshot.role(roleArn(account, name))
  if (role?.stored.id !== principalId) return undefined
  return { principal: assumedRoleOf(role.account, role.stored, sessionName), grants: role.grants }
}

function narrowed({ principal, grants }: Identity, { policy, issuedAt, expiresAt }: Session): Identity {
  const session = { issuedAt: new Date(issuedAt), expiresAt: new Date(expiresAt) }
  return {
    principal: { ...principal, session },
    grants: policy === undefined ? grants : { ...grants, session: sessionPolicy(policy) },
  }
}

/** It was read when the session was issued; one that this version cannot read allows nothing. */
function sessionPolicy(document: string) {
  try {
    return parsePolicy(document, 'identity')
  } catch (error) {
    if (error instanceof MalformedPolicy) return SILENT
    throw error
  }
}

function issue(request: SessionRequest, identityKey: IdentityKey): TemporaryCredentials {
  const accessKeyId = newTemporaryKeyId()
  const { issuedAt, expiresAt, ...rest } = request
  const session: Session = { ...rest, issuedAt: issuedAt.getTime(), expiresAt: expiresAt.getTime() }
  const sessionToken = identityKey.sealSession(session, accessKeyId)
  return { accessKeyId, secret: identityKey.sessionSecret(sessionToken, accessKeyId), sessionToken, expiresAt }
}
