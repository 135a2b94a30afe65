/**
 * A server that speaks the client port's frames and answers as a test tells it: for what a real HSM process does not
 * do on demand, such as answering too late, answering nonsense, being throttled, or dying between request and reply.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { Operation } from '../link.ts'
import { requestEnvelope } from '../../../workers/hsm/protocol/envelope.ts'
import { HsmError } from '../../../workers/hsm/protocol/errors.ts'
import { encodeFrame, FrameDecoder } from '../../../workers/hsm/protocol/frame.ts'
import type { Member } from '../../../workers/hsm/protocol/values.ts'

type Handler = (params: Record<string, unknown>, socket: TLSSocket) => unknown

export interface FakeHsm {
  readonly hsmId: string
  readonly host: string
  readonly port: number
  /** Operations received, in order. */
  readonly calls: string[]
  readonly member: Member
  /** Replaces one operation's answer: a result, or an HsmError it throws. A promise that never settles is no answer. */
  on(op: Operation, handler: Handler): void
  /** Tells every client who the members are, now and in greetings to come. */
  announce(members: readonly Member[]): void
  /** Breaks every connection, as a killed process does. */
  breakConnections(): void
  /** Stops listening and breaks every connection. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface FakeHsmOptions {
  readonly certificate: { readonly cert: string; readonly key: string }
  readonly hsmId?: string
  readonly host?: string
  readonly port?: number
  readonly clusterId?: string
}

export async function startFakeHsm({
  certificate,
  hsmId = 'hsm-fakefakefa1',
  host = '127.0.0.1',
  port = 0,
  clusterId = 'cluster-fakefakefa1',
}: FakeHsmOptions): Promise<FakeHsm> {
  const sockets = new Set<TLSSocket>()
  const calls: string[] = []
  const member = { hsmId, address: host, eniIp: host }
  let members: readonly Member[] = [member]
  const handlers = new Map<string, Handler>([
    [
      'hello',
      () => ({ protocol: 1, hsmId, clusterId, hsmType: 'hsm2m.medium', mode: 'FIPS', activated: true, members }),
    ],
    ['login', ({ username, role }) => ({ username, role })],
    ['logout', () => ({})],
    ['random', ({ length }) => ({ bytes: Buffer.alloc(Number(length)) })],
  ])

  const server = createServer({ ...certificate, minVersion: 'TLSv1.3' }, (socket) => {
    sockets.add(socket)
    const decoder = new FrameDecoder()
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      for (const message of decoder.push(chunk)) void answer(socket, message)
    })
  })

  async function answer(socket: TLSSocket, message: unknown): Promise<void> {
    const { id, op, params } = requestEnvelope.parse(message)
    calls.push(op)
    const handler = handlers.get(op)
    try {
      if (!handler) throw new HsmError('UnknownOperation', `the test gave no answer for ${op}`)
      const ok = await handler(params, socket)
      if (!socket.destroyed) socket.write(encodeFrame({ id, ok }))
    } catch (error) {
      const { code, message: text } = error instanceof HsmError ? error : new HsmError('Internal', String(error))
      socket.write(encodeFrame({ id, error: { code, message: text } }))
    }
  }

  server.on('tlsClientError', () => undefined)
  server.listen(port, host)
  await once(server, 'listening')
  const stop = async () => {
    for (const socket of sockets) socket.destroy()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }
  return {
    hsmId,
    host,
    port: portOf(server.address()),
    calls,
    member,
    on: (op, handler) => void handlers.set(op, handler),
    announce(list) {
      members = list
      for (const socket of sockets) socket.write(encodeFrame({ event: 'members', data: { members } }))
    },
    breakConnections() {
      for (const socket of sockets) socket.destroy()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the fake HSM listens on no port')
  return address.port
}
