/** Certificates as users make them: with the openssl command. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Workshop {
  /** A key and a certificate request. Options of `openssl req`. */
  request(name: string, ...options: string[]): Promise<string>
  /** A self-signed certificate with a key of its own. Options of `openssl req -x509`. */
  selfSigned(name: string, ...options: string[]): Promise<string>
  /** The certificate that `issuer` issues for the request of `name`. Options of `openssl x509 -req`. */
  issue(name: string, issuer: string, ...options: string[]): Promise<string>
  /** Where a file of this name is, or may be written. */
  path(file: string): string
  remove(): Promise<void>
}

/** A directory of keys and certificates. Remove it when done. */
export async function workshop(): Promise<Workshop> {
  const dir = await mkdtemp(join(tmpdir(), 'strongroom-certificates-'))
  const at = (file: string) => join(dir, file)
  const rsa = ['-newkey', 'rsa:2048']
  const key = (options: readonly string[]) => (options.includes('-newkey') ? [] : rsa)
  const subject = (name: string) => ['-nodes', '-keyout', at(`${name}.key`), '-subj', `/CN=${name}`]
  return {
    request: async (name, ...options) => {
      await run('openssl', ['req', '-new', ...key(options), ...subject(name), '-out', at(`${name}.csr`), ...options])
      return readFile(at(`${name}.csr`), 'utf8')
    },
    selfSigned: async (name, ...options) => {
      await run('openssl', ['req', '-x509', ...key(options), ...subject(name), '-out', at(`${name}.crt`), ...options])
      return readFile(at(`${name}.crt`), 'utf8')
    },
    issue: async (name, issuer, ...options) => {
      const by = ['-CA', at(`${issuer}.crt`), '-CAkey', at(`${issuer}.key`), '-CAcreateserial']
      const extensions = at(`${name}.ext`)
      const [plain, text] = splitExtensions(options)
      if (text !== undefined) await writeFile(extensions, text)
      const withText = text === undefined ? [] : ['-extfile', extensions]
      await run('openssl', [
        'x509',
        '-req',
        '-in',
        at(`${name}.csr`),
        ...by,
        '-out',
        at(`${name}.crt`),
        ...withText,
        ...plain,
      ])
      return readFile(at(`${name}.crt`), 'utf8')
    },
    path: at,
    remove: () => rm(dir, { recursive: true }),
  }
}

/** An option that reads `ext:…` stands for the text of an extension file. */
function splitExtensions(options: readonly string[]): [string[], string | undefined] {
  const text = options.find((option) => option.startsWith('ext:'))
  return [options.filter((option) => option !== text), text?.slice('ext:'.length)]
}
