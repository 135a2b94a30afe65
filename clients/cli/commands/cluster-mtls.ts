/** cluster mtls …: trust anchors of clients' certificates, and whether one must be shown. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { mtlsLevel, MTLS_LEVELS, type TrustAnchorInfo } from '../../../workers/hsm/protocol/client/mtls.ts'
import { CliError } from '../cli-error.ts'
import { command, type Command } from '../command.ts'
import { messageOf } from '../config.ts'

/** Hexadecimal with 0x, or decimal. */
const reference = z
  .string()
  .regex(/^(0x[0-9a-fA-F]{1,2}|[0-9]{1,3})$/, 'a certificate reference is a number such as 0x01')
  .transform(Number)

const referenceText = (value: number) => `0x${value.toString(16).padStart(2, '0')}`

const present = ({ reference: number, certificate, coverage }: TrustAnchorInfo) => ({
  'certificate-reference': referenceText(number),
  certificate,
  'cluster-coverage': coverage,
})

export const clusterMtls: readonly Command[] = [
  command({
    path: 'cluster mtls register-trust-anchor',
    summary: 'Trust the client certificates of an authority (admin)',
    options: [{ flags: '--path <file>', description: 'its certificate or chain (PEM)', required: true }],
    input: z.object({ path: z.string().min(1) }),
    run: async ({ path }, { loggedIn }) => {
      const certificate = readPem(path)
      const client = await loggedIn()
      return { trust_anchor: present(await client.mtls.registerTrustAnchor(certificate)) }
    },
  }),
  command({
    path: 'cluster mtls deregister-trust-anchor',
    summary: 'Trust an authority no longer (admin)',
    options: [
      { flags: '--certificate-reference <reference>', description: 'as list-trust-anchors shows it', required: true },
    ],
    input: z.object({ certificateReference: reference }),
    run: async ({ certificateReference }, { loggedIn }) => {
      const client = await loggedIn()
      await client.mtls.deregisterTrustAnchor(certificateReference)
      return { message: `Trust anchor with reference ${referenceText(certificateReference)} deregistered successfully` }
    },
  }),
  command({
    path: 'cluster mtls list-trust-anchors',
    summary: 'List the authorities whose client certificates count',
    input: z.object({}),
    run: async (_input, { connect }) => {
      const client = await connect()
      return { trust_anchors: (await client.mtls.listTrustAnchors()).map(present) }
    },
  }),
  command({
    path: 'cluster mtls get-enforcement',
    summary: 'Show whether clients must show a certificate',
    input: z.object({}),
    run: async (_input, { loggedIn }) => {
      const client = await loggedIn()
      return { 'mtls-enforcement-level': await client.mtls.enforcement() }
    },
  }),
  command({
    path: 'cluster mtls set-enforcement',
    summary: 'Set whether clients must show a certificate (the admin named admin, over mTLS)',
    options: [
      {
        flags: '--level <level>',
        description: 'cluster: they must; none: they need not',
        required: true,
        choices: MTLS_LEVELS,
      },
    ],
    input: z.object({ level: mtlsLevel }),
    run: async ({ level }, { loggedIn }) => {
      const client = await loggedIn()
      await client.mtls.setEnforcement(level)
      const name = `${level[0]?.toUpperCase() ?? ''}${level.slice(1)}`
      return { message: `Mtls enforcement level set to ${name} successfully` }
    },
  }),
]

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CliError(`cannot read the certificate: ${messageOf(error)}`)
  }
}
