/** A log file that starts anew when it has grown, with a few older ones beside it. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

const MAX_BYTES = 10 * 1024 * 1024
/** `x.log.1` is the youngest of the older ones. */
const OLDER = 2

export interface RotatingFile {
  /** Appends at once. A log that cannot be written stops nobody: what does not fit on the disk is lost. */
  write(text: string): void
}

/** Opens a log file, and makes its folder; readable by its owner only. One process at a time may write it. */
export function rotatingFile(path: string, maxBytes = MAX_BYTES): RotatingFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  let file = openSync(path, 'a', 0o600)
  let size = fstatSync(file).size
  const rotate = () => {
    for (let n = OLDER; n >= 1; n -= 1) {
      try {
        renameSync(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`)
      } catch {
        // There are not that many yet.
      }
    }
    closeSync(file)
    file = openSync(path, 'a', 0o600)
    size = 0
  }
  return {
    write: (text) => {
      try {
        if (size >= maxBytes) rotate()
        size += writeSync(file, text)
      } catch {
        // The disk is full, most likely; the next line may fit again.
      }
    },
  }
}
