/** What a command is: where it stands in the tree, which flags it takes, what it does. */
import type { z } from 'zod'
import type { Client } from '../sdk/client.ts'
import { CliError } from './cli-error.ts'

export interface OptionSpec {
  /** As commander writes them: `--label <label>`, `--filter <filter...>`, `--session`. */
  readonly flags: string
  readonly description: string
  readonly required?: true
  readonly choices?: readonly string[]
  readonly default?: string
}

/** What a command may use of the world around it. */
export interface Invocation {
  /** Connected to the cluster that `--cluster-id` or the configuration says. */
  readonly connect: () => Promise<Client>
  /** As `connect`, with somebody logged in. CliError when nobody is and no credentials were given. */
  readonly loggedIn: () => Promise<Client>
  /** Asks for what must not be shown: the question as it stands, the answer without echo. */
  readonly askHidden: (question: string) => Promise<string>
  /** Asks for what may be seen. CliError at the end of the input. */
  readonly ask: (question: string) => Promise<string>
}

/** A command with its own flags' types forgotten, so that all fit into one table. */
export interface Command {
  readonly path: readonly string[]
  readonly summary: string
  readonly options: readonly OptionSpec[]
  /** `flags` are commander's, by camel-case name. Gives `data` of the answer. Throws what is to be told as failure. */
  readonly invoke: (flags: unknown, invocation: Invocation) => Promise<unknown>
}

interface CommandSpec<Input extends z.ZodType> {
  /** Words that call it, with blanks between. */
  readonly path: string
  readonly summary: string
  readonly options?: readonly OptionSpec[]
  readonly input: Input
  readonly run: (input: z.output<Input>, invocation: Invocation) => Promise<unknown>
}

export function command<Input extends z.ZodType>({
  path,
  summary,
  options = [],
  input,
  run,
}: CommandSpec<Input>): Command {
  return {
    path: path.split(' '),
    summary,
    options,
    invoke: async (flags, invocation) => {
      const parsed = input.safeParse(flags)
      if (!parsed.success) throw new CliError(parsed.error.issues.map(describeIssue).join('; '))
      return run(parsed.data, invocation)
    },
  }
}

/** `modulusSizeBits` is what commander makes of `--modulus-size-bits`. */
function describeIssue({ path, message }: z.core.$ZodIssue): string {
  const [name] = path
  if (typeof name !== 'string') return message
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}: ${message}`
}
