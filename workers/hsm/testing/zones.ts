/**
 * Two availability zones as network namespaces on one bridge, and this process as a third party that reaches both: what
 * a partition between zones is to HSMs and to their clients. Packets vanish, as they do when a line is cut; nobody is told.
 */
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'

export interface Zone {
  /** Command that starts a program inside the zone. */
  readonly prefix: readonly string[]
  /** An address of the zone that nobody has been given yet. */
  nextAddress(): string
}

export interface Zones {
  readonly a: Zone
  readonly b: Zone
  /** From now on nothing gets through between the zones; this process still reaches both. */
  partition(): void
  heal(): void
  dispose(): void
}

/** Why there can be no namespaces here; undefined when there can. */
export function whyNoZones(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const probe = nameOf('p')
  try {
    ip('netns', 'add', probe)
    try {
      inside(probe, 'ip', 'link', 'add', 'br0', 'type', 'bridge')
      inside(probe, 'bridge', 'link', 'show')
    } finally {
      ip('netns', 'del', probe)
    }
    return undefined
  } catch (error) {
    return `network namespaces cannot be made here: ${error instanceof Error ? error.message.split('\n', 1)[0] : ''}`
  }
}

/** Makes the zones. The caller disposes of them. Throws what `ip` says when it may not. */
export function makeZones(): Zones {
  sets += 1
  const lan = nameOf('l')
  const net = `10.${randomInt(200, 250)}.${randomInt(1, 250)}`
  const made: string[] = []
  const here = nameOf('h')
  const dispose = () => {
    for (const name of made.splice(0).reverse()) ip('netns', 'del', name)
  }
  const namespace = (name: string) => {
    ip('netns', 'add', name)
    made.push(name)
    inside(name, 'ip', 'link', 'set', 'lo', 'up')
  }
  try {
    namespace(lan)
    inside(lan, 'ip', 'link', 'add', 'br0', 'type', 'bridge')
    inside(lan, 'ip', 'link', 'set', 'br0', 'up')
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', 'port-here', 'netns', lan)
    inside(lan, 'ip', 'link', 'set', 'port-here', 'master', 'br0', 'up')
    ip('address', 'add', `${net}.1/24`, 'dev', here)
    ip('link', 'set', here, 'up')
    const zone = (letter: 'a' | 'b', first: number): Zone => {
      const name = nameOf(letter)
      namespace(name)
      ip('link', 'add', 'zone', 'netns', name, 'type', 'veth', 'peer', 'name', `port-${letter}`, 'netns', lan)
      inside(lan, 'ip', 'link', 'set', `port-${letter}`, 'master', 'br0', 'up')
      inside(name, 'ip', 'link', 'set', 'zone', 'up')
      let given = first
      return {
        prefix: ['ip', 'netns', 'exec', name],
        nextAddress() {
          given += 1
          inside(name, 'ip', 'address', 'add', `${net}.${given}/24`, 'dev', 'zone')
          return `${net}.${given}`
        },
      }
    }
    const isolate = (state: 'on' | 'off') => {
      for (const letter of ['a', 'b']) inside(lan, 'bridge', 'link', 'set', 'dev', `port-${letter}`, 'isolated', state)
    }
    return { a: zone('a', 10), b: zone('b', 20), partition: () => isolate('on'), heal: () => isolate('off'), dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

let sets = 0

/** At most 15 characters, the longest name of a network interface. New for each set: Linux takes its time to remove one. */
const nameOf = (letter: string) => `sr${letter}${process.pid}-${sets}`

const ip = (...args: readonly string[]) => run('ip', args)
const inside = (namespace: string, ...command: readonly string[]) => run('ip', ['netns', 'exec', namespace, ...command])

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
}
