/** The two times that tokens know, so that tests can hand in their own. */
export interface QuorumClock {
  /** Never goes back: what lifetimes are measured with. */
  monotonicMs(): number
  unixSeconds(): number
}

export const systemQuorumClock: QuorumClock = {
  monotonicMs: () => performance.now(),
  unixSeconds: () => Math.floor(Date.now() / 1000),
}
