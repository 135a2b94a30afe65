/** Approvals by several users, as this HSM gives out, checks and spends them (data-plane reference §5). */
import { randomBytes } from 'node:crypto'
import type { Caller } from '../policy/roles.ts'
import type { Approval, QuorumTokenInfo } from '../protocol/client/quorum.ts'
import { HsmError } from '../protocol/errors.ts'
import {
  encodeTokenRecord,
  isKeyService,
  NONCE_BYTES,
  QUORUM_REQUIRED_TEXT,
  recordsIn,
  type AdminService,
  type KeyService,
  type QuorumService,
} from '../protocol/quorum.ts'
import type { Replication } from '../replication/replication.ts'
import { isSignedToken } from '../vault/token-sign.ts'
import type { Users } from '../vault/users.ts'
import type { QuorumClock } from './clock.ts'
import { approvesFor, thresholdOf, type KeyInQuorum } from './key-quorum.ts'
import { takingAlong, type SpentApprovals } from './spent-approvals.ts'
import { TokenStore, type Approver, type LoginSession, type Token } from './token-store.ts'
import type { QuorumValues } from './values.ts'

export interface QuorumOptions {
  readonly hsmId: string
  readonly users: Pick<Users, 'approvalKeyOf'>
  /** A key that the caller sees. Throws KeyNotFound. */
  readonly keyOf: (caller: Caller, handle: string) => KeyInQuorum
  readonly values: QuorumValues
  readonly replication: Pick<Replication, 'members' | 'onMembersChanged'>
  readonly clock: QuorumClock
}

/** What an operation needs approvals of. */
export type Need = { readonly service: AdminService } | { readonly service: KeyService; readonly handle: string }

export class Quorum {
  readonly values: QuorumValues
  readonly #options: QuorumOptions
  readonly #tokens: TokenStore

  constructor(options: QuorumOptions) {
    this.#options = options
    this.values = options.values
    this.#tokens = new TokenStore(options.clock)
    // A token is made of all HSMs' parts: with other members it is none any more (§5.1).
    let members = memberIds(options.replication)
    options.replication.onMembersChanged(() => {
      const now = memberIds(options.replication)
      if (now !== members) this.#tokens.clear()
      members = now
    })
  }

  /** This HSM's record of a new token for the login. Throws InvalidRequest, KeyNotFound, LimitExceeded. */
  generate(session: LoginSession, service: QuorumService, handle: string | undefined): Buffer {
    const caller = loggedIn(session)
    this.#requireAskable(caller, service, handle)
    const record = encodeTokenRecord({
      service,
      hsmId: this.#options.hsmId,
      handle,
      nonce: randomBytes(NONCE_BYTES),
      username: caller.username,
      unixSeconds: this.#options.clock.unixSeconds(),
    })
    this.#tokens.add(session, caller, { record, service, handle })
    return record
  }

  /**
   * Takes signatures over a token of this login in place of those before. Throws QuorumFailed, which says why, when one
   * of them is not an approval; nothing changed then.
   */
  approve(
    session: LoginSession,
    { approvalData, signatures }: { approvalData: Uint8Array; signatures: readonly Approval[] },
  ): { approvals: number; spendable: boolean } {
    const records = recordsIn(approvalData)
    if (!records) throw failed('the approval data is not made of records of 80 bytes')
    const token = this.#tokens
      .of(session)
      .find(({ service, record }) => service !== 'registration' && records.some((each) => each.equals(record)))
    if (!token)
      throw failed('the token is none of this login on this HSM: it expired, was spent, or is of another login')
    const approvers = new Map(
      signatures.map((approval) => [approval.username, this.#approver(token, approvalData, approval)]),
    )
    token.approvalData = Buffer.from(approvalData)
    token.approvers = [...approvers.values()]
    token.spendable = records[0]?.equals(token.record) ?? false
    return { approvals: this.#approvals(token), spendable: token.spendable }
  }

  /**
   * Sets tokens of the login aside for one operation. Undefined when it needs none. Throws QuorumRequired, and QuorumFailed
   * when there is a token with too few approvals.
   */
  claim(session: LoginSession, needs: readonly Need[]): Claim | undefined {
    const caller = loggedIn(session)
    const tokens: Token[] = []
    for (const need of needs) {
      const required = this.#required(caller, need)
      if (required > 1) tokens.push(this.#approved(session, need, required))
    }
    return tokens.length > 0 ? new Claim(this.#tokens, tokens) : undefined
  }

  /** Sets the login's registration token with this record aside. Throws QuorumFailed. */
  claimRegistration(session: LoginSession, record: Uint8Array): Claim {
    const token = this.#tokens
      .of(session)
      .find((each) => each.service === 'registration' && !each.spending && each.record.equals(record))
    if (!token) throw failed('there is no such token for registration of this login on this HSM: generate one')
    return new Claim(this.#tokens, [token])
  }

  /** For admins all of them, for crypto users their own and those for keys they see. */
  list(caller: Caller): QuorumTokenInfo[] {
    return this.#tokens
      .live()
      .filter(({ login, handle }) => {
        if (caller.role === 'admin' || login.username === caller.username) return true
        return handle !== undefined && this.#sees(caller, handle)
      })
      .map((token) => ({
        username: token.login.username,
        service: token.service,
        ...(token.handle !== undefined && { handle: token.handle }),
        approvalsRequired: this.#requiredOf(token),
        approvals: this.#approvals(token),
        secondsLeft: this.#tokens.secondsLeft(token),
      }))
  }

  /** The caller's own or everybody's. */
  delete(caller: Caller, scope: 'user' | 'all'): void {
    for (const token of this.#tokens.live()) {
      if (scope === 'all' || token.login.username === caller.username) this.#tokens.delete(token)
    }
  }

  /** Gives up a token of the login. */
  drop(session: LoginSession, record: Uint8Array): void {
    for (const token of this.#tokens.of(session)) {
      if (!token.spending && token.record.equals(record)) this.#tokens.delete(token)
    }
  }

  #requireAskable(caller: Caller, service: QuorumService, handle: string | undefined): void {
    if (isKeyService(service) !== (handle !== undefined)) {
      throw new HsmError('InvalidRequest', 'a key is named for key-usage and key-management, and only for those')
    }
    if (service === 'registration') return
    if (isKeyService(service)) {
      if (thresholdOf(this.#options.keyOf(caller, handle ?? ''), service) > 1) return
      throw new HsmError('InvalidRequest', `the key ${handle ?? ''} needs no approval for ${service}`)
    }
    if (caller.role !== 'admin') throw new HsmError('PermissionDenied', `the service ${service} is for admins`)
    if (this.values.list()[service] === undefined) {
      throw new HsmError('PolicyRefused', `HSMs of this type have no quorum for the service ${service}`)
    }
  }

  #approver(token: Token, approvalData: Uint8Array, { username, role, signature }: Approval): Approver {
    const publicKey = this.#options.users.approvalKeyOf({ username, role })
    if (!publicKey) throw failed(`${role} ${username} has no key for approvals registered`)
    if (!this.#mayApprove(token, { username, role })) throw failed(`${role} ${username} has no say in this`)
    if (!isSignedToken(publicKey, approvalData, signature)) {
      throw failed(`the signature of ${username} does not verify with the key that is registered`)
    }
    return { username, role, signature, publicKey }
  }

  /** Admins for admin services; for a key its owner and those it is shared with. */
  #mayApprove({ login, handle }: Token, { username, role }: Caller): boolean {
    if (handle === undefined) return role === 'admin'
    return role === 'crypto-user' && approvesFor(this.#options.keyOf(login, handle), username)
  }

  /** Approvals that count now: a user who is gone, has another key or no say any more approves nothing. */
  #approvals(token: Token): number {
    return token.approvers.filter((approver) => {
      const key = this.#options.users.approvalKeyOf(approver)
      return key !== undefined && Buffer.from(key).equals(approver.publicKey) && this.#stillMayApprove(token, approver)
    }).length
  }

  #stillMayApprove(token: Token, approver: Approver): boolean {
    return (token.handle === undefined || this.#sees(token.login, token.handle)) && this.#mayApprove(token, approver)
  }

  #approved(session: LoginSession, need: Need, required: number): Token {
    const handle = 'handle' in need ? need.handle : undefined
    const candidates = this.#tokens
      .of(session)
      .filter(
        (token) => token.service === need.service && token.handle === handle && token.spendable && !token.spending,
      )
    const counts = candidates.map((token) => this.#approvals(token))
    const enough = candidates.find((_, i) => (counts[i] ?? 0) >= required)
    if (enough) return enough
    if (candidates.length === 0) throw new HsmError('QuorumRequired', QUORUM_REQUIRED_TEXT)
    throw failed(`${Math.max(...counts)} of ${required} approvals`)
  }

  #required(caller: Caller, need: Need): number {
    if (!('handle' in need)) return this.values.required(need.service)
    return thresholdOf(this.#options.keyOf(caller, need.handle), need.service)
  }

  #requiredOf({ service, handle, login }: Token): number {
    if (service === 'registration') return 0
    if (!isKeyService(service)) return this.values.required(service)
    return handle !== undefined && this.#sees(login, handle)
      ? thresholdOf(this.#options.keyOf(login, handle), service)
      : 0
  }

  #sees(caller: Caller, handle: string): boolean {
    try {
      this.#options.keyOf(caller, handle)
      return true
    } catch {
      return false
    }
  }
}

/** Tokens set aside: no other operation takes them, and success spends them. */
export class Claim {
  readonly #store: TokenStore
  readonly #tokens: readonly Token[]

  constructor(store: TokenStore, tokens: readonly Token[]) {
    this.#store = store
    this.#tokens = tokens
    for (const token of tokens) token.spending = true
  }

  /**
   * Gives what the work gives; when it throws, the tokens can be used again. What the work writes for admin services takes
   * and keys takes the approvals along.
   */
  async spendOn<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const spent = this.#tokens.find(({ service, approvers }) => service !== 'key-usage' && approvers.length > 0)
    try {
      const result = await (spent ? takingAlong(spentApprovals(spent), work) : work())
      for (const token of this.#tokens) this.#store.delete(token)
      return result
    } finally {
      for (const token of this.#tokens) token.spending = false
    }
  }
}

const spentApprovals = ({ approvalData, approvers }: Token): SpentApprovals => ({
  approvalData,
  signatures: approvers.map(({ username, role, signature }) => ({ username, role, signature })),
})

function loggedIn({ caller }: LoginSession): Caller {
  if (!caller) throw new HsmError('NotAuthenticated', 'quorum tokens belong to a login')
  return caller
}

/** AWS's words, and why. */
const failed = (why: string) => new HsmError('QuorumFailed', `Quorum Failed: ${why}`)

const memberIds = (replication: Pick<Replication, 'members'>) =>
  replication
    .members()
    .map(({ hsmId }) => hsmId)
    .sort()
    .join()
