/** What can be fuzzed: where inputs begin, and what must hold for every one of them. */
export interface FuzzTarget {
  readonly name: string
  /** Inputs to begin with, valid ones among them. */
  readonly seeds: () => readonly Buffer[] | Promise<readonly Buffer[]>
  /** Throws when what must hold does not. */
  readonly run: (input: Buffer) => void | Promise<void>
  readonly close?: () => Promise<void>
}
