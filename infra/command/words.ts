/** What help texts of several commands have in common. */
import type { Command } from 'commander'

export const DATA = 'data directory (default: $STRONGROOM_DATA, else ~/.local/share/strongroom)'
export const CONFIG = 'configuration file (default: strongroom.json in the data directory)'
export const AS_JSON = 'print JSON, for programs'

/** Has a mistake in any command, however deep, name the help of that command. */
export function pointToHelp(command: Command, path = command.name()): void {
  command.showHelpAfterError(`("${path} --help" tells what it takes)`)
  for (const each of command.commands) pointToHelp(each, `${path} ${each.name()}`)
}
