/** What the protocol's source files say of each operation: the comment above it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROTOCOL = fileURLToPath(new URL('../protocol/', import.meta.url))
/** A comment, and right behind it a shape that has a name in the page. */
const COMMENTED_SHAPE = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export const ([a-zA-Z]+) = z\b/g
/** A comment, and right behind it an entry of a table of operations. */
const COMMENTED = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*'?([a-z][a-z0-9-]*)'?: \{\s*params:/g

/** Comments by shape, by the name that it has in the source. */
export function shapeComments(): Comments {
  const names = ['values.ts', 'attributes.ts', 'mechanisms.ts', 'management-operations.ts', 'client/mtls.ts']
  return commentsOf(
    names.map((name) => join(PROTOCOL, name)),
    COMMENTED_SHAPE,
  )
}

/** Comments by operation, of the client port and of the management port. */
export function operationComments(): { readonly client: Comments; readonly management: Comments } {
  const client = readdirSync(join(PROTOCOL, 'client')).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
  )
  return {
    client: commentsOf(client.sort().map((name) => join(PROTOCOL, 'client', name))),
    management: commentsOf([join(PROTOCOL, 'management-operations.ts')]),
  }
}

export type Comments = ReadonlyMap<string, string>

function commentsOf(paths: readonly string[], pattern = COMMENTED): Comments {
  const found = paths.flatMap((path) => [...readFileSync(path, 'utf8').matchAll(pattern)])
  return new Map(found.map(([, comment = '', name = '']) => [name, oneParagraph(comment)]))
}

function oneParagraph(comment: string): string {
  return (
    comment
      .split('\n')
      .map((line) => line.replace(/^\s*\*?\s?/, '').trim())
      .join(' ')
      // Where a fact comes from is for those who have the source.
      .replaceAll(/ \([^()]*data-plane[^()]*\)/g, '')
      .trim()
  )
}
