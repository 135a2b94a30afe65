/** What the doctor says of HSMs that cannot run: the last words of each, which tell what is wrong and how to recover. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findProcess } from '../hosts/hsm-process.ts'
import { lastTrouble } from '../hosts/last-trouble.ts'
import { regionNames, regionPlaces } from '../region/places.ts'
import type { Finding } from './checks.ts'

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
      return { hsmId, trouble: await lastTrouble(place) }
    }),
  )
}
