/** Trust anchors and the enforcement of mTLS as records keep them. Fields may be added; none may change its meaning. */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { certificatesOf } from '../identity/trust.ts'
import { mtlsLevel, type MtlsLevel } from '../protocol/client/mtls.ts'

export const PREFIX = 'mtls/'
export const ANCHORS = `${PREFIX}anchors/`
export const ENFORCEMENT = `${PREFIX}enforcement`

const packr = new Packr({ useRecords: false })
const anchorRecord = z.object({ certificate: z.string() })
const enforcementRecord = z.object({ level: mtlsLevel })

export const encodeAnchor = (certificate: string): Buffer => packr.pack({ certificate })
/** PEM. */
export const decodeAnchor = (value: Uint8Array): string => anchorRecord.parse(packr.unpack(value)).certificate

export const encodeLevel = (level: MtlsLevel): Buffer => packr.pack({ level })
export const decodeLevel = (value: Uint8Array): MtlsLevel => enforcementRecord.parse(packr.unpack(value)).level

/** Throws when a record of mTLS is not what its path says. */
export function requireMtlsRecord(path: string, value: Uint8Array): void {
  if (path === ENFORCEMENT) decodeLevel(value)
  if (path.startsWith(ANCHORS)) certificatesOf(decodeAnchor(value))
}
