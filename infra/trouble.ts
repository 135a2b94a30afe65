/** Something that the person at the terminal can mend: what is wrong, and what to do about it. */
export class Trouble extends Error {
  /** What to do, as a sentence or a command. */
  readonly mend: string | undefined

  constructor(message: string, options: { readonly mend?: string; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'Trouble'
    this.mend = options.mend
  }
}

/** The text of anything that was thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The code of a failed system call (`ENOENT`) or SQL statement (`42P04`). */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file',
  EISDIR: 'it is a directory',
  EEXIST: 'there is a file of that name',
  ENOSPC: 'the disk is full',
  ENAMETOOLONG: 'the name is too long',
}

/** Why a system call on a file failed, for people. */
export const whyNot = (error: unknown): string => REASONS[codeOf(error) ?? ''] ?? textOf(error)
