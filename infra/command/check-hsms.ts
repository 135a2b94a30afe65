/** What the doctor says of HSMs that cannot run: the last words of each, which tell what is wrong and how to recover. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import { findProcess } from '../hosts/hsm-process.ts'
import { regionNames, regionPlaces } from '../region/places.ts'
import type { Finding } from './checks.ts'

/** Of the end of a log. */
const TAIL_BYTES = 64 * 1024
/** pino's number for `fatal`. */
const FATAL = 60
const fatalLine = z.object({ level: z.literal(FATAL), reason: z.string().optional(), msg: z.string() })
const RECOVERY = 'How to recover: '

/** Fails when an HSM does not run because it could not: of those that were stopped nothing is said. */
export async function checkHsms(data: string): Promise<Finding> {
  const what = 'hsms'
  const found = await Promise.all(
    (await regionNames(data)).map(async (region) => hsmsOf(regionPlaces(data, region).hsms)),
  )
  const all = found.flat()
  const broken = all.filter(({ trouble }) => trouble !== undefined)
  if (broken.length === 0) return { what, verdict: 'ok', says: `${all.length} on this machine, none is in trouble` }
  const [says, mends] = [new Set<string>(), new Set<string>()]
  for (const { hsmId, trouble = '' } of broken) {
    const [wrong = '', mend] = trouble.split(RECOVERY)
    says.add(`${hsmId}: ${wrong.trim()}`)
    if (mend !== undefined) mends.add(mend)
  }
  const mend = mends.size > 0 ? [...mends].join(' ') : 'strongroom logs tells more.'
  return { what, verdict: 'fail', says: [...says].join('; '), mend }
}

interface SeenHsm {
  readonly hsmId: string
  /** Why it cannot run; undefined when it does, or was never asked not to. */
  readonly trouble: string | undefined
}

async function hsmsOf(directory: string): Promise<SeenHsm[]> {
  const ids = (await readdir(directory).catch(() => [])).filter((name) => name.startsWith('hsm-'))
  return Promise.all(
    ids.map(async (hsmId) => {
      const place = join(directory, hsmId)
      if ((await findProcess(place)) !== undefined) return { hsmId, trouble: undefined }
      return { hsmId, trouble: await lastTrouble(join(place, HSM_FILES.log)) }
    }),
  )
}

/** What the last line of a log says, if it is the word of a process that could not run. */
async function lastTrouble(path: string): Promise<string | undefined> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0
  if (size === 0) return undefined
  const text = (await readFile(path, 'utf8')).slice(-TAIL_BYTES)
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  try {
    const line = fatalLine.parse(JSON.parse(last))
    return line.reason ?? line.msg
  } catch {
    return undefined
  }
}
