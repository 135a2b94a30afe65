/** An audit log in a directory of its own, with a device key that a throw-away fleet certified. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pino from 'pino'
import { makeRequest } from '../../identity/certificate.ts'
import { hsmUri } from '../../../../provider-schema/party-names.ts'
import { MemoryStore } from '../../replication/testing/memory-store.ts'
import { fleetPki, type FleetPki } from '../../testing/pki.ts'
import { AuditLog, type AuditLimits } from '../audit-log.ts'
import type { AuditEvent } from '../event.ts'
import { auditFilesIn } from '../../../../audit-log/files.ts'
import { AUDIT_DIRECTORY, auditFileName } from '../../../../provider-schema/audit-file.ts'
import { verifyAudit, type AuditFile, type Verified, type VerifyOptions } from '../../../../audit-log/verify.ts'

export const CLUSTER = 'cluster-testtesttes'

export interface AuditedHsm {
  readonly pki: FleetPki
  /** The HSM's own, and the audit files' below it. */
  readonly directory: string
  readonly auditDirectory: string
  /** Opens the log (again); closed at the end of the test. */
  open(limits?: Partial<AuditLimits>): Promise<AuditLog>
  files(): Promise<AuditFile[]>
  verify(options?: Partial<VerifyOptions>): Promise<Verified>
}

export async function auditedHsm(
  t: TestContext,
  { pki = fleetPki(), hsmId = 'hsm-aaaaaaaaaaa' } = {},
): Promise<AuditedHsm> {
  const directory = await mkdtemp(join(tmpdir(), 'audit-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const auditDirectory = join(directory, AUDIT_DIRECTORY)
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const request = makeRequest({ subject: [['CN', hsmId]], key, uri: hsmUri(hsmId) })
  const device = { key, tls: { cert: pki.issueDevice(request, hsmId).deviceChain } }
  const { local } = new MemoryStore(hsmId)
  const files = async () =>
    Promise.all(
      (await auditFilesIn(auditDirectory)).map(async (file) => {
        const name = auditFileName(file)
        return { name, text: await readFile(join(auditDirectory, name), 'utf8') }
      }),
    )
  return {
    pki,
    directory,
    auditDirectory,
    async open(limits = {}) {
      const log = await AuditLog.open({ directory, hsmId, device, local, log: pino({ level: 'silent' }), limits })
      t.after(() => log.close())
      return log
    },
    files,
    verify: async (options = {}) => verifyAudit(await files(), { root: pki.trust.root, ...options }),
  }
}

export const loginOf = (username: string): AuditEvent => ({
  opcode: 'CN_LOGIN',
  operation: 'login',
  session: 7,
  details: { kind: 'user', username, role: 'crypto-user' },
  from: '127.0.0.1',
})
