/** Where `strongroom account` talks and listens; tests listen in. */
import { stdin } from 'node:process'

export const terminal = {
  say: (text: string): void => {
    process.stdout.write(text)
  },
  warn: (text: string): void => {
    process.stderr.write(text)
  },
  /** Pieces of standard input. */
  input: (): AsyncIterable<Buffer> => stdin,
}
