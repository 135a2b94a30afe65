/**
 * Loaded before anything else in every process of ours (flags.ts, bin/.exec): finds modules without asking each time what
 * the package.json above them says. Node parses the `exports` of that file anew for each module of a package: of
 * drizzle-orm, 178 KB for each of a hundred. Nothing depends on it but time and memory: with it a region's process has
 * loaded its code after 0.3 s instead of 1.0 s, and then has 119 MiB instead of 184 (Node 26.10).
 */
import { registerHooks, type ResolveFnOutput } from 'node:module'

/** Packages whose files that end in `.js` are ES modules, all of them, and many. */
const MODULES_ONLY = /\/node_modules\/(?:drizzle-orm|zod)\//

/** What packages are from our own files, by name. */
const packages = new Map<string, ResolveFnOutput>()

registerHooks({
  resolve: (specifier, context, nextResolve) => {
    const { parentURL, conditions } = context
    if (parentURL === undefined || conditions.includes('require')) return nextResolve(specifier, context)
    const isOurs = !parentURL.includes('/node_modules/')
    if (specifier.startsWith('.')) return neighbour(specifier, parentURL, isOurs) ?? nextResolve(specifier, context)
    if (!isOurs || specifier.includes(':')) return nextResolve(specifier, context)
    let answer = packages.get(specifier)
    if (answer === undefined) {
      answer = { ...nextResolve(specifier, context), shortCircuit: true }
      packages.set(specifier, answer)
    }
    return answer
  },
})

/** A file by its path, where its name is enough to know its format. */
function neighbour(specifier: string, parentURL: string, isOurs: boolean): ResolveFnOutput | undefined {
  if (isOurs) {
    if (!specifier.endsWith('.ts') || !parentURL.endsWith('.ts')) return undefined
    return { url: new URL(specifier, parentURL).href, format: 'module-typescript', shortCircuit: true }
  }
  if (!specifier.endsWith('.js') || !MODULES_ONLY.test(parentURL)) return undefined
  // zod's messages in sixty languages, of which we speak one.
  const path = specifier === '../locales/index.js' ? '../locales/en.js' : specifier
  return { url: new URL(path, parentURL).href, format: 'module', shortCircuit: true }
}

/*
 * Whoever imports node:http reads these three, which loads Node's WebSocket client: 40 ms and 19 MB for what nobody here
 * uses. The global ones are as they were.
 */
const http = process.getBuiltinModule('node:http')
for (const name of ['WebSocket', 'CloseEvent', 'MessageEvent']) {
  if (Object.getOwnPropertyDescriptor(http, name)?.configurable === true) {
    Object.defineProperty(http, name, { value: undefined, configurable: true })
  }
}
