/** Peers that hold what they are given, or do not, as a test says: real ones do so only by chance. */
import type { Member } from '../../protocol/values.ts'
import type { Replication } from '../../replication/replication.ts'
import type { FeedEntry } from '../record-store.ts'

export class ToldPeers implements Replication {
  /** HSMs, this one included, that take what is written. */
  holding: number
  writesLimited = false
  /** What is to happen with entries before `holding` HSMs are said to hold them. */
  onSpread: (entries: readonly FeedEntry[]) => Promise<unknown> = () => Promise.resolve()
  readonly #members: Member[]

  constructor(size: number) {
    this.holding = size
    this.#members = Array.from({ length: size }, (_, i) => ({ hsmId: `hsm-${i}`, address: '', eniIp: '' }))
  }

  members() {
    return this.#members
  }
  onMembersChanged() {
    // They never do here.
  }
  async spread(entries: readonly FeedEntry[]) {
    await this.onSpread(entries)
    return this.holding
  }
  refusalOf() {
    return undefined
  }
  async catchUp() {
    return Promise.resolve(this.holding)
  }
  copies() {
    return this.holding
  }
}
