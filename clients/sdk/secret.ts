import { inspect } from 'node:util'

/**
 * A password held in memory: it prints as `[redacted]` wherever it might be printed, and can be wiped.
 * (The string it was made from is the runtime's to forget; this copy at least does not outlive its use.)
 */
export class Secret {
  #bytes: Buffer | undefined

  constructor(text: string) {
    this.#bytes = Buffer.from(text, 'utf8')
  }

  /** The text, for the moment it goes on the wire. Throws once it was wiped. */
  reveal(): string {
    if (!this.#bytes) throw new Error('this secret was wiped')
    return this.#bytes.toString('utf8')
  }

  wipe(): void {
    this.#bytes?.fill(0)
    this.#bytes = undefined
  }

  toString(): string {
    return '[redacted]'
  }

  toJSON(): string {
    return '[redacted]'
  }

  [inspect.custom](): string {
    return '[redacted]'
  }
}
