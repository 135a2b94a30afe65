import { CliError } from './cli-error.ts'

/**
 * A line as a shell cuts it into words: blanks separate, single and double quotes keep together, a backslash keeps the
 * next character (inside single quotes it is itself). Throws CliError when a quote is not closed.
 */
export function splitWords(line: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at)
    if (char === quote) quote = undefined
    else if (char === '\\' && quote !== "'" && at + 1 < line.length) word = (word ?? '') + line.charAt(++at)
    else if (quote !== undefined) word = (word ?? '') + char
    else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (!/\s/.test(char)) word = (word ?? '') + char
    else if (word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  if (quote !== undefined) throw new CliError(`A quote (${quote}) is not closed`)
  return word === undefined ? words : [...words, word]
}
