/** How patient the service is with HSMs that cannot go on, in seconds. */
export interface Recovery {
  /** An HSM whose keys or directory are gone, or whose store cannot be opened, is replaced after this time. */
  readonly lostSeconds: number
  /** An HSM that nothing is known of but that it does not answer is replaced after this time. */
  readonly silentSeconds: number
  /** An HSM that came in a swap of the HSM type has this long to prove that it holds what it must. */
  readonly validationSeconds: number
}
export const RECOVERY: Recovery = { lostSeconds: 60, silentSeconds: 600, validationSeconds: 30 }
