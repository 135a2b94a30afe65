/** The command tree, as commander parses it: words, flags, help and what is said about a mistake. */
import { Command as Node, Option, type CommanderError } from 'commander'
import { CliError } from './cli-error.ts'
import type { Command } from './command.ts'
import { GROUPS } from './commands/table.ts'

export interface TreeOptions {
  /** The word before every command in help texts. */
  readonly name: string
  /** What the program is for, at the head of its help; and what else is to know, at the end. */
  readonly about?: string
  readonly hints?: string
  readonly commands: readonly Command[]
  /** What is to be done with the one that the words call. */
  readonly chosen: (command: Command, flags: Readonly<Record<string, unknown>>) => Promise<void>
  /** Where help goes. */
  readonly print: (text: string) => void
}

/** Help was asked for and has been given. */
export class HelpShown extends Error {}

/**
 * Parsing throws CliError for a mistake, with the usage of the command that was meant, and HelpShown after help.
 */
export function buildTree({ name, about = '', hints = '', commands, chosen, print }: TreeOptions): Node {
  const root = prepare(new Node(name), print).description(about).addHelpText('after', hints)
  const nodes = new Map<string, Node>([['', root]])
  const nodeAt = (path: readonly string[]): Node => {
    const key = path.join(' ')
    let node = nodes.get(key)
    if (!node) {
      node = prepare(nodeAt(path.slice(0, -1)).command(path.at(-1) ?? ''), print).description(GROUPS[key] ?? '')
      nodes.set(key, node)
    }
    return node
  }
  for (const each of commands) {
    const node = nodeAt(each.path).description(each.summary)
    for (const spec of each.options) {
      const option = new Option(spec.flags, spec.required ? `${spec.description} (required)` : spec.description)
      if (spec.choices) option.choices([...spec.choices])
      if (spec.default !== undefined) option.default(spec.default)
      node.addOption(option.makeOptionMandatory(spec.required ?? false))
    }
    node.option('--cluster-id <id>', 'the cluster, if several are configured')
    // Flags of the words before count too: `login --username a --role admin mfa-token-sign --token file`.
    node.action(() => chosen(each, node.optsWithGlobals()))
  }
  return root
}

function prepare(node: Node, print: (text: string) => void): Node {
  return node
    .exitOverride((error) => complain(node, error))
    .configureOutput({ writeOut: print, writeErr: () => undefined, outputError: () => undefined })
    .helpCommand('help [command]', 'Show help for a command')
    .helpOption('-h, --help', 'show this help')
    .showSuggestionAfterError(true)
}

function complain(node: Node, error: CommanderError): never {
  if (error.exitCode === 0) throw new HelpShown()
  const words = node.commands.map((each) => each.name()).join(', ')
  if (error.code === 'commander.help') {
    throw new CliError(`A command is missing after "${pathOf(node)}". There are: ${words}`)
  }
  if (error.code === 'commander.unknownCommand') {
    throw new CliError(`${error.message.replace(/^error: /, '')}\nAfter "${pathOf(node)}" there are: ${words}`)
  }
  const usage = `Usage: ${pathOf(node)} ${node.usage()}`
  // What stands at the wrong place may be a password: it is not repeated.
  const mistake =
    error.code === 'commander.excessArguments'
      ? 'too many arguments: a value is missing its flag'
      : error.message.replace(/^error: /, '').replace(/^(unknown option '[^=']*)=[^]*'/, "$1'")
  throw new CliError(`${mistake}\n${usage}`)
}

function pathOf(node: Node): string {
  const words = []
  for (let at: Node | null = node; at; at = at.parent) words.unshift(at.name())
  return words.join(' ').trim()
}
