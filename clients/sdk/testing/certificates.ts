/** Throw-away certificates for tests, made by the openssl command: a customer's CA and what it signs. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

export interface ServerCertificate {
  readonly cert: string
  readonly key: string
}

export interface TestCa {
  /** PEM. */
  readonly certificate: string
  /** A server certificate that the CA signed, and its key, as PEM. */
  readonly server: ServerCertificate
}

export function testCa(caName = 'customer-ca', serverName = 'HSM'): TestCa {
  const dir = mkdtempSync(join(tmpdir(), 'strongroom-ca-'))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
  try {
    openssl('req', '-x509', ...EC, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', `/CN=${caName}`)
    openssl('req', ...EC, '-keyout', 'hsm.key', '-out', 'hsm.csr', '-subj', `/CN=${serverName}`)
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
    openssl('x509', '-req', '-in', 'hsm.csr', ...signer, '-out', 'hsm.pem', '-days', '2')
    const read = (file: string) => readFileSync(join(dir, file), 'utf8')
    return { certificate: read('ca.pem'), server: { cert: read('hsm.pem'), key: read('hsm.key') } }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
