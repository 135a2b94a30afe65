/** Operations on data in parts that a connection has begun: bounded in number, bytes and idle time. */
import { HsmError } from '../protocol/errors.ts'

export interface PartLimits {
  readonly operations: number
  readonly bytes: number
  readonly idleMs: number
}

export interface Finished {
  readonly output: Uint8Array
  readonly valid?: boolean
}

/** One operation. Whatever it throws ends it. */
export interface PartOperation {
  update(data: Uint8Array): Uint8Array
  finish(signature: Uint8Array | undefined): Finished | Promise<Finished>
}

interface Begun {
  readonly work: PartOperation
  readonly timer: NodeJS.Timeout
  bytes: number
}

export class PartOperations {
  readonly #limits: PartLimits
  readonly #begun = new Map<number, Begun>()
  #next = 0

  constructor(limits: PartLimits) {
    this.#limits = limits
  }

  /** Begun and not finished. */
  get count(): number {
    return this.#begun.size
  }

  /** Gives the number by which the operation is called from now on. Throws LimitExceeded. */
  begin(work: () => PartOperation): number {
    const { operations, idleMs } = this.#limits
    if (this.#begun.size >= operations) {
      throw new HsmError('LimitExceeded', `a connection has at most ${operations} operations under way: finish one`)
    }
    const number = this.#next
    const timer = setTimeout(() => this.#begun.delete(number), idleMs).unref()
    const begun = { work: work(), timer, bytes: 0 }
    this.#next = (number + 1) % 0x1_0000_0000
    this.#begun.set(number, begun)
    return number
  }

  /** Throws WrongState for no such operation, LimitExceeded for too much data, and what the operation throws. */
  update(number: number, data: Uint8Array): Uint8Array {
    const begun = this.#get(number)
    try {
      begun.bytes += data.length
      if (begun.bytes > this.#limits.bytes) {
        throw new HsmError('LimitExceeded', `an operation takes at most ${this.#limits.bytes} bytes in all its parts`)
      }
      const output = begun.work.update(data)
      begun.timer.refresh()
      return output
    } catch (error) {
      this.cancel(number)
      throw error
    }
  }

  finish(number: number, signature: Uint8Array | undefined): Finished | Promise<Finished> {
    const { work } = this.#get(number)
    this.cancel(number)
    return work.finish(signature)
  }

  /** Does nothing when there is none. */
  cancel(number: number): void {
    clearTimeout(this.#begun.get(number)?.timer)
    this.#begun.delete(number)
  }

  /** The login is over. */
  end(): void {
    for (const number of [...this.#begun.keys()]) this.cancel(number)
  }

  #get(number: number): Begun {
    const begun = this.#begun.get(number)
    if (begun) return begun
    throw new HsmError('WrongState', `no operation ${number} is under way: it failed, was finished, or idled too long`)
  }
}
