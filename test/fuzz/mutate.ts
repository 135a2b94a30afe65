/** Inputs made from others: seeded, so that a run can be repeated. */
import type { Chance } from '../support/chance.ts'

export function below(chance: Chance, limit: number): number {
  return Math.floor(chance() * limit)
}

/** Numbers that lengths and counts break at. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]
/** Heads of msgpack values that announce a length (msgpack specification, "Overview"). */
const HEADS = [
  0x90, 0x9f, 0x80, 0x8f, 0xa0, 0xbf, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd,
  0xde, 0xdf,
]

type Mutation = (bytes: Buffer, chance: Chance, others: readonly Buffer[]) => Buffer

const MUTATIONS: readonly Mutation[] = [
  (bytes, chance) => changed(bytes, chance, (byte) => byte ^ (1 << below(chance, 8))),
  (bytes, chance) => changed(bytes, chance, () => below(chance, 256)),
  (bytes, chance) => changed(bytes, chance, () => HEADS[below(chance, HEADS.length)] ?? 0),
  (bytes, chance) => {
    if (bytes.length < 4) return bytes
    const copy = Buffer.from(bytes)
    copy.writeUInt32BE(EDGES[below(chance, EDGES.length)] ?? 0, below(chance, bytes.length - 3))
    return copy
  },
  (bytes, chance) => {
    if (bytes.length < 2) return bytes
    const copy = Buffer.from(bytes)
    copy.writeUInt16BE((EDGES[below(chance, EDGES.length)] ?? 0) & 0xffff, below(chance, bytes.length - 1))
    return copy
  },
  (bytes, chance) => bytes.subarray(0, below(chance, bytes.length + 1)),
  (bytes, chance) => {
    const [from, to] = range(bytes, chance)
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
  },
  (bytes, chance) => {
    const [from, to] = range(bytes, chance)
    const at = below(chance, bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, to), bytes.subarray(at)])
  },
  (bytes, chance, others) => {
    const other = others[below(chance, others.length)] ?? bytes
    const [from, to] = range(other, chance)
    const at = below(chance, bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(at)])
  },
]

/** One to six changes to one of the inputs. */
export function mutated(inputs: readonly Buffer[], chance: Chance): Buffer {
  let bytes = inputs[below(chance, inputs.length)] ?? Buffer.alloc(0)
  for (let changes = 1 + below(chance, 6); changes > 0; changes -= 1) {
    bytes = MUTATIONS[below(chance, MUTATIONS.length)]?.(bytes, chance, inputs) ?? bytes
  }
  return bytes
}

function changed(bytes: Buffer, chance: Chance, change: (byte: number) => number): Buffer {
  if (bytes.length === 0) return bytes
  const copy = Buffer.from(bytes)
  const at = below(chance, copy.length)
  copy.writeUInt8(change(copy.readUInt8(at)) & 0xff, at)
  return copy
}

function range(bytes: Buffer, chance: Chance): [number, number] {
  const from = below(chance, bytes.length + 1)
  return [from, from + below(chance, Math.min(bytes.length - from, 64) + 1)]
}
