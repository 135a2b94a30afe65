/** Operations on data that comes in parts: each stays on the HSM it was begun on, and is lost with that connection. */
import { MAX_MESSAGE_BYTES } from '../../workers/hsm/protocol/client/crypto.ts'
import type { CipherStreamMechanism, HashName, SignStreamMechanism } from '../../workers/hsm/protocol/mechanisms.ts'
import type { Answered } from './dispatch.ts'
import { ClientError } from './errors.ts'
import type { Params, Result } from './link.ts'
import type { Requests } from './requests.ts'

/**
 * Bytes of a part where the HSM caps one: below every cap of ciphers and codes (data-plane §4), and whole blocks of
 * each. What is longer goes in several.
 */
const CAPPED_PART_BYTES = 16_000

/**
 * A running operation: updates in order, then finish or cancel. `update` gives what a cipher has ready, else nothing.
 *
 * Whatever fails ends it. ClientError OperationLost when its HSM is lost, OperationOver when it has ended before;
 * HsmError WrongState when the login it began under is over, or after five minutes without a part.
 */
export interface Parts {
  update(data: Uint8Array): Promise<Uint8Array>
  /** Gives up. Does nothing when it is over. Never throws. */
  cancel(): Promise<void>
}

/** One that ends in bytes: a digest, a signature, or the rest of a cipher's output. */
export interface PartsGivingBytes extends Parts {
  finish(): Promise<Uint8Array>
}

/** One that ends in whether the signature is right. */
export interface PartsVerifying extends Parts {
  finish(signature: Uint8Array): Promise<boolean>
}

/** What is refused at once is refused by `begin`: HsmErrors of `sign`, `encrypt` and so on, and LimitExceeded. */
export interface PartCalls {
  digest(hash: HashName): Promise<PartsGivingBytes>
  sign(handle: string, mechanism: SignStreamMechanism): Promise<PartsGivingBytes>
  verify(handle: string, mechanism: SignStreamMechanism): Promise<PartsVerifying>
  encrypt(handle: string, mechanism: CipherStreamMechanism): Promise<PartsGivingBytes>
  decrypt(handle: string, mechanism: CipherStreamMechanism): Promise<PartsGivingBytes>
}

export function partCalls(requests: Requests): PartCalls {
  const { copies } = requests
  const begin = async (params: Params<'part-begin'>, partBytes: number) =>
    new Running(requests, await requests.begin(params), partBytes)
  const givingBytes = (running: Running): PartsGivingBytes => ({
    update: (data) => running.update(data),
    cancel: () => running.cancel(),
    async finish() {
      const { output } = await running.finish()
      return output
    },
  })
  return {
    digest: async (hash) => givingBytes(await begin({ use: 'digest', hash }, MAX_MESSAGE_BYTES)),
    sign: async (handle, mechanism) =>
      givingBytes(await begin({ use: 'sign', handle, mechanism, ...copies }, signedPartBytes(mechanism))),
    async verify(handle, mechanism) {
      const running = await begin({ use: 'verify', handle, mechanism, ...copies }, signedPartBytes(mechanism))
      return {
        update: (data) => running.update(data),
        cancel: () => running.cancel(),
        async finish(signature) {
          const { valid } = await running.finish(signature)
          return valid === true
        },
      }
    },
    encrypt: async (handle, mechanism) =>
      givingBytes(await begin({ use: 'encrypt', handle, mechanism, ...copies }, CAPPED_PART_BYTES)),
    decrypt: async (handle, mechanism) =>
      givingBytes(await begin({ use: 'decrypt', handle, mechanism, ...copies }, CAPPED_PART_BYTES)),
  }
}

const signedPartBytes = ({ name }: SignStreamMechanism) =>
  name === 'hmac' || name === 'aes-cmac' ? CAPPED_PART_BYTES : MAX_MESSAGE_BYTES

class Running {
  readonly #requests: Requests
  readonly #link: Answered<'part-begin'>['link']
  readonly #operation: number
  readonly #partBytes: number
  #over = false
  /** Parts go one after another, also when the caller does not wait. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(requests: Requests, { link, answer }: Answered<'part-begin'>, partBytes: number) {
    this.#requests = requests
    this.#link = link
    this.#operation = answer.operation
    this.#partBytes = partBytes
  }

  update(data: Uint8Array): Promise<Uint8Array> {
    return this.#inOrder(async () => {
      const outputs: Uint8Array[] = []
      for (let at = 0; at < data.length; at += this.#partBytes) {
        const part = { operation: this.#operation, data: data.subarray(at, at + this.#partBytes) }
        const { output } = await this.#requests.goOn(this.#link, 'part-update', part)
        outputs.push(output)
      }
      return Buffer.concat(outputs)
    })
  }

  finish(signature?: Uint8Array): Promise<Result<'part-finish'>> {
    return this.#inOrder(async () => {
      const last = { operation: this.#operation, ...(signature && { signature }) }
      const result = await this.#requests.goOn(this.#link, 'part-finish', last)
      this.#over = true
      return result
    })
  }

  async cancel(): Promise<void> {
    try {
      await this.#inOrder(() => this.#cancelThere())
    } catch {
      // It is over, which is what was wanted.
    }
  }

  #inOrder<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      if (this.#over) throw new ClientError('OperationOver', 'the operation is over: begin another')
      try {
        return await step()
      } catch (error) {
        this.#over = true
        // Of a refusal before the operation saw it, a throttled part for instance, something may be left.
        await this.#cancelThere().catch(() => undefined)
        throw error
      }
    })
    this.#last = done.catch(() => undefined)
    return done
  }

  async #cancelThere(): Promise<void> {
    this.#over = true
    await this.#requests.goOn(this.#link, 'part-cancel', { operation: this.#operation })
  }
}
