/**
 * Requests to an application without a socket: a fifth of the cost, for tests that make tens of thousands of them. What it
 * leaves out, Node's HTTP parser and a TCP connection, all other tests of the API go through.
 */
import { once } from 'node:events'
import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
import { Socket } from 'node:net'

export interface RawReply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** Keeps what is written to it. */
class Ear extends Socket {
  readonly heard: Buffer[] = []

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: () => void): void {
    this.heard.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk)
    done()
  }

  override _writev(chunks: readonly { chunk: Buffer | string; encoding: BufferEncoding }[], done: () => void): void {
    for (const { chunk, encoding } of chunks) this._write(chunk, encoding, () => undefined)
    done()
  }
}

/** `POST /` with these headers and body. */
export async function postInProcess(
  listener: RequestListener,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): Promise<RawReply> {
  const ear = new Ear()
  const request = new IncomingMessage(ear)
  request.method = 'POST'
  request.url = '/'
  const sent = { ...headers, 'content-length': String(body.length) }
  request.headers = sent
  request.headersDistinct = Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, [value]]))
  request.complete = true
  request.push(body)
  request.push(null)
  const response = new ServerResponse(request)
  response.assignSocket(ear)
  const finished = once(response, 'finish')
  listener(request, response)
  await finished
  return parsed(Buffer.concat(ear.heard).toString())
}

function parsed(text: string): RawReply {
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = new Headers(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    }),
  )
  return { status: Number(statusLine.split(' ')[1]), headers, text: text.slice(end + 4) }
}
