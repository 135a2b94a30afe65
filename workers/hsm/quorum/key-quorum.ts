/** Whose approval a key needs, and how many (data-plane reference §5). */
import type { KeyService } from '../protocol/quorum.ts'

export interface KeyInQuorum {
  readonly owner: string
  readonly sharedWith: readonly string[]
  /** Fixed when the key is made; 0 and 1 ask for no approval. */
  readonly manageQuorum?: number
  readonly useQuorum?: number
}

export const thresholdOf = (key: KeyInQuorum, service: KeyService): number =>
  (service === 'key-usage' ? key.useQuorum : key.manageQuorum) ?? 0

/** Whether the crypto user has a say. */
export const approvesFor = ({ owner, sharedWith }: KeyInQuorum, username: string): boolean =>
  owner === username || sharedWith.includes(username)
