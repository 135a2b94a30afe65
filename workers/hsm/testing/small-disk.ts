/** A disk of its own that can be filled, for tests. Linux, and root only. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly path: string
  /** Takes all that is left of it. */
  fill(): Promise<void>
  /** Gives back what `fill` took. */
  free(): Promise<void>
  /** What is begun meanwhile makes its directories on it. */
  within<Result>(work: () => Promise<Result>): Promise<Result>
  dispose(): Promise<void>
}

/** Why there can be no such disk here; undefined when there can. */
export function whyNoSmallDisk(): string | undefined {
  const mounts = spawnSync('unshare', ['--mount', 'true']).status === 0 && process.getuid?.() === 0
  return mounts ? undefined : 'needs to be root, to mount a small disk'
}

/** Throws when it cannot be mounted. */
export async function smallDisk(size: string): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'small-disk-'))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]).status !== 0) {
    await rm(path, { recursive: true })
    throw new Error('a small disk cannot be mounted here')
  }
  const filler = join(path, 'filler')
  return {
    path,
    async fill() {
      for (const bytes of [1024 * 1024, 4096]) {
        let isRoom = true
        while (isRoom) {
          isRoom = await writeFile(filler, Buffer.alloc(bytes), { flag: 'a' }).then(
            () => true,
            () => false,
          )
        }
      }
    },
    free: () => rm(filler, { force: true }),
    async within(work) {
      const before = process.env['TMPDIR']
      process.env['TMPDIR'] = path
      try {
        return await work()
      } finally {
        if (before === undefined) delete process.env['TMPDIR']
        else process.env['TMPDIR'] = before
      }
    },
    async dispose() {
      spawnSync('umount', [path])
      await rm(path, { recursive: true })
    },
  }
}
