/**
 * Whether this HSM can read what another HSM or a backup gives it. What it cannot read must not come onto its disk: it
 * would end its process, and every start after that.
 */
import { createSecureContext } from 'node:tls'
import { clusterTlsOf, decodeIdentity, IDENTITY_PATH } from '../identity/cluster-identity.ts'
import { requireMtlsRecord } from '../mtls/mtls-record.ts'
import { HsmError } from '../protocol/errors.ts'
import { keyHandle } from '../protocol/values.ts'
import { isQuorumValue, requiredBy } from '../quorum/value-record.ts'
import { HeldKey } from './held-key.ts'
import { changedHandle, requireChangeRecord } from './key-changes.ts'
import { decodeKey, handleOf } from './key-record.ts'
import type { VersionedRecord } from './record-store.ts'
import { isContested, statementIn, subjectOf } from './statements.ts'
import { decodeUser, usernameOf } from './user-record.ts'
import { decodeSaid } from './user-statements.ts'

/** Throws HsmError InvalidRequest, which names the record. */
export function requireReadable(record: VersionedRecord): void {
  try {
    readRecord(record)
  } catch (cause) {
    throw new HsmError('InvalidRequest', `the record ${record.path} cannot be read by this version of the software`, {
      cause,
    })
  }
}

function readRecord(record: VersionedRecord): void {
  const { path, value } = record
  if (path === IDENTITY_PATH) return readIdentity(value)
  const handle = handleOf(path)
  if (handle !== undefined) {
    keyHandle.parse(handle)
    if (value) new HeldKey(handle, decodeKey(value), undefined)
    return
  }
  const subject = subjectOf(path)
  if (!isContested(subject)) return
  const statement = statementIn(record)
  if (!statement) return
  // No HSM says anything upon what it has not got, and versions are higher than all that was said before.
  if (statement.counter > record.version.counter) throw new RangeError('its counter is higher than its version')
  if (statement.value) readValue(subject, statement.value, statement.own)
}

function readIdentity(value: Uint8Array | undefined): void {
  if (!value) throw new TypeError('nobody deletes a cluster')
  const tls = clusterTlsOf(decodeIdentity(value))
  if (tls) createSecureContext(tls)
}

function readValue(subject: string, value: Uint8Array, own: boolean): void {
  const username = usernameOf(subject)
  if (username !== undefined) {
    const named = own ? decodeSaid(value).user?.username : decodeUser(value).username
    if (named !== undefined && named !== username) throw new TypeError(`it is of ${named}`)
  }
  if (changedHandle(subject) !== undefined) requireChangeRecord(subject, value)
  if (isQuorumValue(subject)) requiredBy({ value })
  requireMtlsRecord(subject, value)
}
