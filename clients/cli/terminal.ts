/** Lines from standard input, typed or piped; passwords without echo and without a trace in the history. */
import { createInterface, type Interface } from 'node:readline'
import { Writable } from 'node:stream'
import { isatty } from 'node:tty'
import { CliError } from './cli-error.ts'

/** What readline draws on: the terminal, except while something secret is typed. */
class Screen extends Writable {
  muted = false
  readonly isTTY = true
  readonly #terminal: NodeJS.WriteStream

  constructor(terminal: NodeJS.WriteStream) {
    super()
    this.#terminal = terminal
  }

  get columns(): number {
    return this.#terminal.columns
  }

  override _write(chunk: Buffer | string, _encoding: string, done: () => void): void {
    if (!this.muted) this.#terminal.write(chunk)
    done()
  }
}

export interface TerminalStreams {
  readonly input: NodeJS.ReadStream & { readonly fd: number }
  /** Where prompts go: standard error when standard output is for answers only. */
  readonly prompts: NodeJS.WriteStream & { readonly fd: number }
}

/** Reads lines as long as it is open; close it, or the process goes on waiting for input. */
export class Terminal {
  /** Whether somebody types: only then prompts are shown, and the terminal must not echo by itself. */
  readonly typed: boolean
  readonly #prompts: NodeJS.WriteStream
  readonly #screen: Screen
  readonly #lines: Interface
  readonly #iterator: AsyncIterator<string>
  /** Of the lines' interface, the latest first. */
  #history: string[] = []

  constructor({ input, prompts }: TerminalStreams) {
    this.typed = isatty(input.fd)
    this.#prompts = this.typed ? visible(prompts) : prompts
    this.#screen = new Screen(this.#prompts)
    this.#lines = createInterface({ input, output: this.#screen, terminal: this.typed })
    this.#lines.on('history', (history: string[]) => {
      this.#history = history
      const latest = history[0]
      if (latest !== undefined && (this.#screen.muted || latest.includes('--password'))) history.shift()
    })
    this.#iterator = this.#lines[Symbol.asyncIterator]()
  }

  /** The next line, or undefined at the end of the input. */
  async line(prompt: string): Promise<string | undefined> {
    if (this.typed) {
      this.#lines.setPrompt(prompt)
      this.#lines.prompt()
    }
    const next = await this.#iterator.next()
    return next.done ? undefined : next.value
  }

  /** Asks and shows the answer as it is typed. Throws CliError when there is none. */
  async answer(question: string): Promise<string> {
    const line = await this.line(question)
    if (line === undefined) throw new CliError('The input ended before an answer')
    return line.trim()
  }

  /** Asks and does not show the answer. Throws CliError when there is none. */
  async hidden(question: string): Promise<string> {
    if (this.typed) this.#prompts.write(question)
    this.#lines.setPrompt('')
    this.#screen.muted = true
    try {
      const next = await this.#iterator.next()
      if (next.done) throw new CliError('No password was entered')
      this.#forget(next.value)
      return next.value
    } finally {
      this.#screen.muted = false
      if (this.typed) this.#prompts.write('\n')
    }
  }

  close(): void {
    this.#lines.close()
  }

  /** A password that was pasted together with the line before it came before it was asked for, as any line. */
  #forget(secret: string): void {
    for (let at = this.#history.length - 1; at >= 0; at--) if (this.#history[at] === secret) this.#history.splice(at, 1)
  }
}

/** Who redirects the stream of the prompts (`| tee`, `2>log`) still types at a terminal, and must see them there. */
function visible(prompts: TerminalStreams['prompts']): NodeJS.WriteStream {
  return [prompts, process.stderr, process.stdout].find(({ fd }) => isatty(fd)) ?? process.stderr
}
