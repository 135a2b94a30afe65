/** A text that nobody shall read by accident: a secret access key. */
import { inspect } from 'node:util'

/** Prints as `[redacted]` wherever it is printed, logged or serialised. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself. The caller must not let it go further than into a computation. */
  reveal(): string {
    return this.#text
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
