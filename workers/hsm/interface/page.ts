/** `docs/protocol.md`, made from the tables that the HSM itself works by. */
import { CLIENT_EVENTS } from '../audit/client-events.ts'
import { PERMISSIONS } from '../policy/roles.ts'
import { clientEvents, clientOperations } from '../protocol/client-operations.ts'
import type { OperationTable } from '../protocol/envelope.ts'
import { HSM_ERROR_CODES } from '../protocol/errors.ts'
import { encodeFrame, MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_LOGIN, PARAMETER_LIMITS } from '../protocol/frame.ts'
import { managementOperations } from '../protocol/management-operations.ts'
import { approvingService } from '../quorum/approved-operations.ts'
import { DEFAULT_LIMITS } from '../server/port-server.ts'
import { approvals } from './approvals.ts'
import { operationComments, shapeComments, type Comments } from './comments.ts'
import { ERROR_MEANINGS } from './errors.ts'
import { limits } from './limits.ts'
import { policy } from './policy.ts'
import { hexOf, NAMED_SHAPES, namedShapeText, number, shapeText } from './shapes.ts'

type ClientOperation = keyof typeof clientOperations

/** Markdown. */
export function protocolPage(): string {
  const comments = operationComments()
  return [
    INTRODUCTION,
    connections(),
    frames(),
    messages(),
    '## Errors\n',
    'What an HSM refuses, it refuses with a code for programs and a text for people. Nothing was changed then.\n',
    ...HSM_ERROR_CODES.map((code) => `- \`${code}\`: ${ERROR_MEANINGS[code]}`),
    '',
    approvals(),
    limits(),
    policy(),
    NOTATION,
    '## Shapes\n',
    ...Object.keys(NAMED_SHAPES).map((name) => shape(name, shapeComments())),
    '## Operations of the client port\n',
    ...(Object.keys(clientOperations) as ClientOperation[]).map((name) =>
      operation(name, clientOperations, comments.client, [who(name), audited(name), ...approved(name)]),
    ),
    '## Events of the client port\n',
    ...Object.entries(clientEvents).map(([name, data]) => `### ${name}\n\n\`data\`:\n\n${code(shapeText(data))}`),
    '## Operations of the management port\n',
    MANAGEMENT,
    ...Object.keys(managementOperations).map((name) => operation(name, managementOperations, comments.management)),
  ].join('\n')
}

const INTRODUCTION = `<!-- Made by \`npm run docs\` from workers/hsm/protocol. Do not edit. -->

# The protocol of an HSM

How a client talks to an HSM, completely: with this page one can write another client, in any language that has TLS 1.3 and
msgpack. AWS's own protocol is proprietary; this one is Strongroom's.
`

function connections(): string {
  const { maxConnections, handshakeTimeoutMs, idleTimeoutMs, bytesPerConnection } = DEFAULT_LIMITS
  return `## Connections

- TCP port 2223 of each HSM is for clients, 2225 for the control plane. (2224 is between the HSMs of a cluster.)
- **TLS 1.3** only. On 2223 the server shows the cluster certificate, which the customer's CA signed: verify the chain against
  that CA, and do **not** compare host names: the certificate names none. Before InitializeCluster it shows its device
  certificate instead.
- The server asks for a client certificate; show none, unless the cluster has mTLS trust anchors (\`mtls-…\`). While mTLS is
  enforced, a connection without a certificate that counts is closed right after the handshake.
- The first request on 2223 is \`hello\`. A login belongs to its connection and ends with it, together with its session keys.
- One HSM is enough to begin with: \`hello\` tells the addresses of all, and the event \`members\` every change.

| limit | value |
|---|---|
| connections of an HSM's client port | ${number(maxConnections)} |
| TLS handshake | ${number(handshakeTimeoutMs / 1000)} s |
| idle before a login | ${number(idleTimeoutMs / 1000)} s; afterwards a connection may idle for ever |
| requests and unread replies of one connection | ${number(bytesPerConnection)} bytes; above it the HSM stops reading until replies are taken |
| one frame | ${number(MAX_FRAME_BYTES)} bytes; of a client before its login, and after it ended, ${number(MAX_FRAME_BYTES_BEFORE_LOGIN)} |
| parameters of a client's request | ${PARAMETER_LIMITS.members} members of one map, ${PARAMETER_LIMITS.depth} maps and arrays inside each other |
`
}

function frames(): string {
  const request = encodeFrame({ id: 0, op: 'hello', params: { client: 'example', protocol: 1 } })
  const refusal = encodeFrame({ id: 7, error: { code: 'NotAuthenticated', message: 'sign needs a login' } })
  const binary = encodeFrame({ id: 1, ok: { bytes: Buffer.from([0xca, 0xfe]) } })
  return `## Frames

A frame is a length of 4 bytes, big-endian, and that many bytes of [msgpack](https://msgpack.org): maps with string keys,
arrays, strings, binaries (\`bin\`), integers, floats, booleans, nil; no extension types. Whatever is not a frame, or announces
more bytes than one may have, closes the connection.

The request \`{"id": 0, "op": "hello", "params": {"client": "example", "protocol": 1}}\`:

${code(hexOf(request))}
The reply \`{"id": 1, "ok": {"bytes": <ca fe>}}\`:

${code(hexOf(binary))}
The refusal \`{"id": 7, "error": {"code": "NotAuthenticated", "message": "sign needs a login"}}\`:

${code(hexOf(refusal))}`
}

function messages(): string {
  return `## Messages

| message | shape |
|---|---|
| request | \`{ id, op, params }\`: \`id\` is an integer from 0 to 4,294,967,295 of the client's choice, \`op\` the operation, \`params\` a map |
| reply | \`{ id, ok }\` with the result, or \`{ id, error: { code, message } }\` |
| event | \`{ event, data }\`, unasked; what a client does not know it skips |

Requests may be sent without waiting for replies, and replies come in any order. Parameters that an operation does not know are
refused; a client should skip members of a result that it does not know.
`
}

const NOTATION = `## How shapes are written

\`name: type\` is a member of a map, \`name?: type\` one that may be left out, \`= value\` what it is then. \`binary\` is msgpack's
\`bin\`. Bounds stand in parentheses. \`A | B\` is one or the other.
`

const MANAGEMENT = `Mutual TLS 1.3: the caller's certificate comes from the control CA, the HSM's from the manufacturer CA, and both lead to the
fleet's root. No operation here reads or uses a key or a user. Each may be repeated: the second call answers what the first did.
`

function shape(name: string, comments: Comments): string {
  const comment = comments.get(`${name.charAt(0).toLowerCase()}${name.slice(1)}`)
  return [`### ${name}\n`, ...(comment === undefined ? [] : [`${comment}\n`]), code(namedShapeText(name))].join('\n')
}

function operation(name: string, table: OperationTable, comments: Comments, notes: readonly string[] = []): string {
  const spec = table[name]
  if (!spec) throw new RangeError(`there is no operation ${name}`)
  const comment = comments.get(name)
  return [
    `### ${name}\n`,
    ...(comment === undefined ? [] : [`${comment}\n`]),
    ...(notes.length === 0 ? [] : [`${notes.join(' ')}\n`]),
    `\`params\`:\n\n${code(shapeText(spec.params))}`,
    `\`ok\`:\n\n${code(shapeText(spec.result))}`,
  ].join('\n')
}

function who(name: ClientOperation): string {
  const { roles, beforeActivation } = PERMISSIONS[name]
  const whom = roles === 'anyone' ? 'Anyone' : roles.map((role) => `\`${role}\``).join(', ')
  return `For: ${whom}${beforeActivation ? ', also before activation' : ''}.`
}

function audited(name: ClientOperation): string {
  return CLIENT_EVENTS[name] === 'not recorded' ? 'Not in the audit log.' : 'In the audit log.'
}

function approved(name: ClientOperation): string[] {
  const service = approvingService(name)
  return service ? [`Approvals: \`${service}\`.`] : []
}

const code = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`
