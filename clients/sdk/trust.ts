/** Whose signature on a server certificate counts: the customer's CA and nobody else. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, createSecureContext } from 'node:tls'
import { ConnectionLost } from '../../workers/hsm/protocol/errors.ts'
import { ClientError } from './errors.ts'

/** A CA, and how to name it in a message. */
export interface Trust {
  readonly tls: {
    readonly ca: string[]
    /** The file may hold an issuing CA alone, without the root above it. */
    readonly allowPartialTrustChain: true
    readonly cert?: string
    readonly key?: string
  }
  /** Where the CA came from: a path, or `the CA given`. */
  readonly origin: string
  /** Subjects of its certificates. */
  readonly subjects: readonly string[]
}

export interface TrustSource {
  /** Path of a PEM file: the CA that signed the cluster's CSR, or its chain. */
  readonly caFile?: string | undefined
  /** The same as text, instead of a file. */
  readonly ca?: string | undefined
  /** Certificate chain and unencrypted private key, as PEM, to show to an HSM that asks for one. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string } | undefined
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** The certificates of a PEM text. Throws when there is none, or one that cannot be read. */
export function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(PEM_CERTIFICATE)
  if (!blocks) throw new Error('it holds no PEM certificate')
  return blocks.map((block) => new X509Certificate(block))
}

/** Reads and checks the CA. Throws TrustInvalid with the reason. */
export function loadTrust({ caFile, ca, clientCertificate }: TrustSource): Trust {
  const origin = caFile === undefined ? 'the CA given' : `the CA file ${caFile}`
  try {
    const pem = ca ?? readFileSync(caFile ?? '', 'utf8')
    const certificates = certificatesOf(pem)
    const tls = { ca: certificates.map(String), allowPartialTrustChain: true, ...clientCertificate } as const
    createSecureContext(tls) // throws on a key that does not fit its certificate
    return { tls, origin, subjects: certificates.map(({ subject }) => oneLine(subject)) }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ClientError('TrustInvalid', `${origin} cannot be used: ${reason}`, { cause })
  }
}

/** Node prints a name on several lines. */
function oneLine(name: string): string {
  return name.split('\n').join(', ')
}

/** OpenSSL's names (X509_V_ERR_…) for a chain that does not hold, as Node gives them in `error.code`. */
const CERTIFICATE_ERRORS = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'CERT_CHAIN_TOO_LONG',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
])

/** Whether a failed connection failed because of the server's certificate. */
export function isCertificateError(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && CERTIFICATE_ERRORS.has(at.code)) return true
  }
  return false
}

/**
 * Explains a refused certificate: which CA was expected and what the server showed. It asks the server once more,
 * without trusting it, only to read its certificate.
 */
export async function explainCertificate(
  server: { hostname: string; port: number },
  trust: Trust,
  cause: Error,
  signal: AbortSignal,
): Promise<ClientError> {
  const shown = await shownCertificate(server, signal)
  const expected = `${trust.origin} (${trust.subjects.join('; ')})`
  return new ClientError(
    'CertificateNotTrusted',
    `the certificate of ${server.hostname.includes(':') ? `[${server.hostname}]` : server.hostname}:${server.port} is not trusted: ${rootMessage(cause)}. ` +
      `It must be signed by ${expected}` +
      (shown ? `; the server shows ${oneLine(shown.subject)}, issued by ${oneLine(shown.issuer)}` : ''),
    { cause },
  )
}

/** Why a connection was lost or not made: OpenSSL's or the system's own words, on one line. */
export function rootMessage(error: Error): string {
  const cause = error instanceof ConnectionLost && error.cause instanceof Error ? error.cause : error
  // A name with several addresses fails with one error for each, and no message of its own.
  if (cause instanceof AggregateError) return cause.errors.map(String).join('; ')
  return cause.message.includes('\n') ? error.message : cause.message
}

function shownCertificate(
  { hostname, port }: { hostname: string; port: number },
  signal: AbortSignal,
): Promise<X509Certificate | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined)
    const socket = connect({ host: hostname, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
    const end = (certificate?: X509Certificate) => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(certificate)
    }
    const abort = () => end()
    signal.addEventListener('abort', abort, { once: true })
    socket.setTimeout(2_000, () => end())
    socket.on('error', () => end())
    socket.once('secureConnect', () => end(socket.getPeerX509Certificate()))
  })
}
