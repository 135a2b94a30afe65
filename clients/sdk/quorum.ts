import type { QuorumTokenInfo } from '../../workers/hsm/protocol/client/quorum.ts'
import { HsmError } from '../../workers/hsm/protocol/errors.ts'
import { hsmNumber, hsmNumberIn, recordsIn, type AdminService } from '../../workers/hsm/protocol/quorum.ts'
import {
  approvalFile,
  readApprovalFile,
  readRegistrationFile,
  registrationFile,
  type ApprovalFile,
  type ApprovalService,
} from './quorum-files.ts'
import { spkiOf } from './public-key.ts'
import type { FromHsm, Requests } from './requests.ts'
import type { UserName } from './users.ts'

export interface QuorumCalls {
  /** How many approvals each admin service needs; 1 is none. */
  values(): Promise<Partial<Record<AdminService, number>>>
  setValue(service: AdminService, value: number): Promise<void>
  /** A token file to be signed, of every HSM's part; `handle` for key services. Good for 600 s of this login, once. */
  generate(service: ApprovalService, handle?: string): Promise<string>
  /** A token file to be signed with the key that is to be registered. */
  generateRegistration(): Promise<string>
  /** Registers one's own key for approvals: PEM, and the signed token file. */
  registerKey(request: { readonly publicKey: string; readonly signedToken: string }): Promise<UserName>
  /**
   * Hands signed token files in on every HSM, then does the work that needs them. HsmError QuorumFailed when they are no
   * approvals. What the work spent is good no more anywhere.
   */
  approved<Result>(files: readonly string[], work: () => Promise<Result>): Promise<Result>
  tokens(): Promise<FromHsm<QuorumTokenInfo[]>[]>
  /** One's own tokens or everybody's, on every HSM. */
  deleteTokens(scope: 'user' | 'all'): Promise<void>
}

export function quorumCalls(requests: Requests): QuorumCalls {
  const deliver = async ({ approvalData, signatures }: ApprovalFile) => {
    const params = { approvalData, signatures: [...signatures] }
    const { answers, failures } = await requests.eachLoggedIn('quorum-approve', params)
    if (answers.some(({ answer }) => answer.spendable)) return
    const [failure] = failures
    if (failure) throw failure
    throw new HsmError(
      'QuorumFailed',
      'Quorum Failed: the HSM that the token is for is not connected: generate a new one',
    )
  }

  /** What is left of a spent token on the HSMs that did not spend it. */
  const forget = async ({ approvalData }: ApprovalFile) => {
    const records = recordsIn(approvalData) ?? []
    await Promise.allSettled(
      requests.pool.links.map(async (link) => {
        const record = records.find((each) => hsmNumberIn(each) === hsmNumber(link.hello.hsmId))
        if (record) await link.call('quorum-token-drop', { record })
      }),
    )
  }

  return {
    async values() {
      const { values } = await requests.any('quorum-list-values', {})
      return values
    },
    async setValue(service, value) {
      await requests.any('quorum-set-value', { service, value })
    },
    async generate(service, handle) {
      const params = { service, ...(handle !== undefined && { handle }) }
      const { answers, failures } = await requests.eachLoggedIn('quorum-token-generate', params)
      const [failure] = failures
      if (answers.length === 0 && failure) throw failure
      return approvalFile(
        service,
        handle,
        answers.map(({ answer }) => answer.record),
      )
    },
    async generateRegistration() {
      const { record } = await requests.any('quorum-token-generate', { service: 'registration' })
      return registrationFile(record)
    },
    registerKey({ publicKey, signedToken }) {
      const { record, signature } = readRegistrationFile(signedToken)
      const maker = hsmNumberIn(record)
      const params = { record, publicKey: spkiOf(publicKey), signature }
      return requests.onOneOf('user-register-quorum-key', (hsmId) => (hsmNumber(hsmId) === maker ? params : undefined))
    },
    async approved(files, work) {
      const approvals = files.map(readApprovalFile)
      for (const approval of approvals) await deliver(approval)
      const result = await work()
      await Promise.all(approvals.map(forget))
      return result
    },
    async tokens() {
      const { answers, failures } = await requests.eachLoggedIn('quorum-token-list', {})
      const [failure] = failures
      if (answers.length === 0 && failure) throw failure
      return answers.map(({ hsmId, answer }) => ({ hsmId, answer: answer.tokens }))
    },
    async deleteTokens(scope) {
      const { failures } = await requests.eachLoggedIn('quorum-token-delete', { scope })
      const [failure] = failures
      if (failure) throw failure
    },
  }
}
