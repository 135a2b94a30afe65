/** Who belongs to the cluster: the newest list that the control plane signed, kept across restarts. */
import { verify, X509Certificate } from 'node:crypto'
import { Packr } from 'msgpackr'
import { controlOf, certificatesOf, isCurrent, issued } from '../identity/trust.ts'
import { HsmError } from '../protocol/errors.ts'
import {
  membershipDocument,
  signedMembership,
  type MembershipDocument,
  type SignedMembership,
} from '../protocol/management-operations.ts'
import type { Member } from '../protocol/values.ts'
import type { RecordStore } from '../vault/record-store.ts'

const MEMBERSHIP = 'replication/membership'
const packr = new Packr({ useRecords: false })

interface Known {
  readonly document: MembershipDocument
  readonly signed: SignedMembership
}

/** The list itself. `controlCa` is the PEM of the CA whose certificates may sign it. */
export class Membership {
  readonly #local: RecordStore['local']
  readonly #controlCa: X509Certificate
  readonly #listeners: ((members: readonly Member[]) => void)[] = []
  #known: Known | undefined
  #accepting: Promise<unknown> = Promise.resolve()

  constructor(local: RecordStore['local'], controlCa: string) {
    this.#local = local
    this.#controlCa = new X509Certificate(controlCa)
    const kept = local.get(MEMBERSHIP)
    if (kept) {
      const signed = signedMembership.parse(packr.unpack(kept))
      this.#known = { document: this.#verify(signed), signed }
    }
  }

  get clusterId(): string | undefined {
    return this.#known?.document.clusterId
  }

  /** 0 while there is no list. */
  get epoch(): number {
    return this.#known?.document.epoch ?? 0
  }

  get members(): readonly Member[] {
    return this.#known?.document.members ?? []
  }

  /** Whether nothing that is kept may change now. */
  get limitedWrites(): boolean {
    return this.#known?.document.limitedWrites ?? false
  }

  /** As the control plane signed it, to be handed on to a peer that has an older one. */
  get signed(): SignedMembership | undefined {
    return this.#known?.signed
  }

  includes(hsmId: string): boolean {
    return this.members.some((member) => member.hsmId === hsmId)
  }

  onChange(listener: (members: readonly Member[]) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Takes a list over, durably, if it is newer. Gives the epoch that holds then. Throws PermissionDenied when the control
   * plane did not sign it or it is for another cluster than `clusterId`.
   */
  accept(signed: SignedMembership, clusterId: string): Promise<number> {
    const accepted = this.#accepting.then(() => this.#accept(signed, clusterId))
    this.#accepting = accepted.catch(() => undefined)
    return accepted
  }

  async #accept(signed: SignedMembership, clusterId: string): Promise<number> {
    const document = this.#verify(signed)
    const [signer] = certificatesOf(signed.chain)
    if (!isCurrent(signer)) throw refusal('its signer is out of date')
    if (document.clusterId !== clusterId) throw refusal(`it is for ${document.clusterId}, not for ${clusterId}`)
    if (this.clusterId === clusterId && document.epoch <= this.epoch) return this.epoch
    await this.#local.put(MEMBERSHIP, packr.pack(signed))
    const limits = document.limitedWrites === true && !this.limitedWrites
    this.#known = { document, signed }
    // One more turn of the store: what was let in before the limit is on disk when this answers.
    if (limits) await this.#local.put(MEMBERSHIP, packr.pack(signed))
    for (const listener of this.#listeners) listener(document.members)
    return document.epoch
  }

  #verify({ document, signature, chain }: SignedMembership): MembershipDocument {
    const [signer] = certificatesOf(chain)
    if (controlOf(signer) === undefined || !issued(this.#controlCa, signer)) {
      throw refusal('its signer is not of the control plane')
    }
    if (!verify('sha384', document, signer.publicKey, signature)) throw refusal('its signature does not hold')
    try {
      return membershipDocument.parse(JSON.parse(Buffer.from(document).toString('utf8')))
    } catch (cause) {
      throw new HsmError('InvalidRequest', 'the list of members cannot be read', { cause })
    }
  }
}

function refusal(why: string): HsmError {
  return new HsmError('PermissionDenied', `the list of members is refused: ${why}`)
}
