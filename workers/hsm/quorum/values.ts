/** How many approvals admin services need: one value for the whole cluster each (data-plane reference §5). */
import { HsmError } from '../protocol/errors.ts'
import { ADMIN_SERVICES, INVALID_QUORUM_VALUE_TEXT, MAX_QUORUM_VALUE, type AdminService } from '../protocol/quorum.ts'
import { recordsOf } from '../vault/contested-records.ts'
import { Serial } from '../vault/serial.ts'
import { writeReplicated, type Vaulted } from '../vault/replicated-write.ts'
import { encodeValue, requiredBy, valuePath } from './value-record.ts'

export interface QuorumValuesOptions extends Vaulted {
  readonly hsmType: () => string
  /** How many admins there are. */
  readonly admins: () => number
}

export class QuorumValues {
  readonly #options: QuorumValuesOptions
  readonly #oneByOne = new Serial()

  constructor(options: QuorumValuesOptions) {
    this.#options = options
  }

  /** Approvals that an operation of the service needs; 1 when it needs none. */
  required(service: AdminService): number {
    return requiredBy(recordsOf(this.#options.store).get(valuePath(service)))
  }

  /** The values of the services that this type of HSM has. */
  list(): Partial<Record<AdminService, number>> {
    return Object.fromEntries(this.#services().map((service) => [service, this.required(service)]))
  }

  /** As many admins as the highest value asks for. */
  get adminsNeeded(): number {
    return Math.max(...ADMIN_SERVICES.map((service) => this.required(service)))
  }

  /** Throws InvalidRequest, PolicyRefused, NotEnoughCopies. */
  async set(service: AdminService, value: number): Promise<void> {
    const { hsmType, admins, replication } = this.#options
    if (!this.#services().includes(service)) {
      throw new HsmError('PolicyRefused', `HSMs of type ${hsmType()} have no quorum for the service ${service}`)
    }
    if (!Number.isInteger(value) || value < 1 || value > MAX_QUORUM_VALUE || value > admins()) {
      throw new HsmError(
        'InvalidRequest',
        `${INVALID_QUORUM_VALUE_TEXT} It is 1 to ${MAX_QUORUM_VALUE}, and at most the number of admins (${admins()})`,
      )
    }
    const path = valuePath(service)
    await this.#oneByOne.run(path, () =>
      writeReplicated(this.#options, [{ path, value: encodeValue(value) }], {
        copies: Math.min(2, Math.max(1, replication.members().length)),
        refusal: 'the quorum value was put back: it must be held by at least 2 HSMs, and no other HSM took it in time',
      }),
    )
  }

  /** Client certificates are a matter of hsm2m.medium (§7), and so is their quorum. */
  #services(): AdminService[] {
    const older = this.#options.hsmType() === 'hsm1.medium'
    return ADMIN_SERVICES.filter((service) => service !== 'cluster' || !older)
  }
}
