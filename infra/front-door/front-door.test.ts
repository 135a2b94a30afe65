import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { openFrontDoor, type FrontDoor } from './front-door.ts'
import { scopeOf } from './region-of.ts'

const authorization = (region: string, service = 'cloudhsm') =>
  `AWS4-HMAC-SHA256 Credential=AKID/20261124/${region}/${service}/aws4_request, SignedHeaders=host, Signature=00`

interface Seen {
  readonly rawHeaders: string[]
  readonly bytes: number
}

/** A region that says its name and what it was sent. */
async function fakeRegion(name: string): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    if (request.url === '/_strongroom/ready') {
      response.end(JSON.stringify({ ready: true, checks: { database: 'ok' } }))
    } else if (request.url === '/_strongroom/metrics') {
      response.end(
        `# HELP x Something.\n# TYPE x gauge\nx{region="${name}"} 1\n# HELP ${name.replaceAll('-', '_')} y\n`,
      )
    } else if (request.url === '/refuse') {
      // Answers before the body is there, and closes.
      response.writeHead(413, { Connection: 'close' }).end('too large')
    } else if (request.url === '/break') {
      request.socket.destroy()
    } else {
      let bytes = 0
      request.on('data', (chunk: Buffer) => (bytes += chunk.length))
      request.on('end', () => {
        const seen: Seen = { rawHeaders: request.rawHeaders, bytes }
        response.writeHead(200, { 'X-Region': name }).end(JSON.stringify(seen))
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

describe('the front door', () => {
  const servers: Server[] = []
  let door: FrontDoor
  let url: string

  before(async () => {
    door = await openFrontDoor({
      listen: '127.0.0.1',
      port: 0,
      regions: ['us-east-1', 'eu-west-1', 'eu-north-1'],
      about: { pid: 1, data: '/somewhere' },
      anchors: () => ({ 'manufacturer-root': 'PEM' }),
      log: pino({ level: 'silent' }),
    })
    url = `http://127.0.0.1:${door.port}`
    for (const region of ['us-east-1', 'eu-west-1']) {
      const { server, port } = await fakeRegion(region)
      servers.push(server)
      door.setRegion(region, port)
    }
  })
  after(async () => {
    await door.close()
    for (const server of servers) server.close().closeAllConnections()
  })

  const post = (headers: Record<string, string>, body = '{}', path = '/') =>
    fetch(url + path, { method: 'POST', headers, body })

  test('hands a request to the region it is signed for', async () => {
    for (const region of ['eu-west-1', 'us-east-1']) {
      const response = await post({ authorization: authorization(region) })
      assert.equal(response.headers.get('x-region'), region)
    }
  })

  test('leaves to the first region what is not signed', async () => {
    assert.equal((await post({})).headers.get('x-region'), 'us-east-1')
  })

  test('names the regions there are when it has none of that name, in the form of the service that was asked', async () => {
    const json = await post({ authorization: authorization('ap-south-1') })
    assert.equal(json.status, 400)
    const body = (await json.json()) as { __type: string; Message: string }
    assert.equal(body.__type, 'InvalidSignatureException')
    assert.match(body.Message, /us-east-1, eu-west-1, eu-north-1/)
    const sts = await post({ authorization: authorization('ap-south-1', 'sts') })
    assert.match(await sts.text(), /<Code>/)
  })

  test('answers 503, which clients repeat, for a region that is away or breaks off', async () => {
    for (const [region, path] of [
      ['eu-north-1', '/'],
      ['us-east-1', '/break'],
    ] as const) {
      const response = await post({ authorization: authorization(region) }, '{}', path)
      assert.equal(response.status, 503)
      const body = (await response.json()) as { __type: string }
      assert.equal(body.__type, 'ServiceUnavailableException')
    }
  })

  test('changes no header that may be signed, and says itself for whom it speaks', async () => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = [
        'Host',
        'x.example',
        'X-Two',
        'a',
        'X-Two',
        'b',
        'X-Forwarded-For',
        '6.6.6.6',
        'Content-Length',
        '2',
      ]
      httpRequest(url, { method: 'POST', headers }, resolve).on('error', reject).end('{}')
    })
    const { rawHeaders } = JSON.parse(await textOf(answer)) as Seen
    assert.deepEqual(rawHeaders.slice(0, 8), ['Host', 'x.example', 'X-Two', 'a', 'X-Two', 'b', 'Content-Length', '2'])
    assert.equal(rawHeaders[rawHeaders.indexOf('X-Forwarded-For') + 1], '127.0.0.1')
    assert.ok(!rawHeaders.includes('6.6.6.6'))
  })

  test('streams a body of unknown length', async () => {
    const chunks = async function* () {
      for (let i = 0; i < 8; i += 1) yield await Promise.resolve(Buffer.alloc(16_384))
    }
    const response = await fetch(url, { method: 'POST', body: chunks(), duplex: 'half' })
    assert.equal(((await response.json()) as Seen).bytes, 8 * 16_384)
  })

  test('hands back a refusal that comes before the body is read', async () => {
    const response = await post({}, 'x'.repeat(256 * 1024), '/refuse')
    assert.equal(response.status, 413)
    assert.equal(await response.text(), 'too large')
  })

  test('is ready when all regions are', async () => {
    const response = await fetch(`${url}/_strongroom/ready`)
    assert.equal(response.status, 503)
    const body = (await response.json()) as { regions: Record<string, { ready: boolean }> }
    assert.equal(body.regions['us-east-1']?.ready, true)
    assert.equal(body.regions['eu-north-1']?.ready, false)
  })

  test('tells the metrics of all regions, each family once, to who is on this machine', async () => {
    const response = await fetch(`${url}/_strongroom/metrics`)
    assert.equal(response.status, 200)
    const lines = (await response.text()).split('\n')
    const at = lines.indexOf('# HELP x Something.')
    assert.deepEqual(lines.slice(at, at + 4), [
      '# HELP x Something.',
      '# TYPE x gauge',
      'x{region="us-east-1"} 1',
      'x{region="eu-west-1"} 1',
    ])
    assert.equal(lines.filter((line) => line.startsWith('# HELP x')).length, 1)
    assert.ok(lines.includes('strongroom_region_up{region="eu-west-1"} 1'))
    assert.ok(lines.includes('strongroom_region_up{region="eu-north-1"} 0'))
    const proxied = await fetch(`${url}/_strongroom/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    assert.equal(proxied.status, 403)
  })

  test('answers on its own paths, to GET only', async () => {
    assert.equal((await fetch(`${url}/_strongroom/live`)).status, 200)
    assert.equal(await (await fetch(`${url}/_strongroom/pki/manufacturer-root.pem`)).text(), 'PEM')
    assert.equal((await fetch(`${url}/_strongroom/pki/backup-key`)).status, 404)
    assert.equal((await post({}, '', '/_strongroom/live')).status, 405)
  })

  test('hands no path of its own on to a region, however it is spelt', async () => {
    const strange = [
      '/_Strongroom/clock',
      '/_STRONGROOM/ready',
      '/_strongroom/ready/',
      '/_strongroom',
      '//_strongroom/x',
    ]
    for (const path of [...strange, `${url}/_strongroom/metrics`]) {
      const socket = connect(door.port, '127.0.0.1')
      socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      let answer = ''
      for await (const chunk of socket) answer += String(chunk)
      assert.match(answer, /^HTTP\/1.1 404 [^]*nothing at this path/, path)
    }
  })

  test('survives a client that sends garbage, or goes away', async () => {
    const garbage = connect(door.port, '127.0.0.1')
    garbage.end('\u0000\u0001 garbage\r\n\r\n')
    await once(garbage.resume(), 'close')
    const leaver = connect(door.port, '127.0.0.1')
    leaver.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf')
    await once(leaver, 'connect')
    leaver.destroy()
    assert.equal((await fetch(`${url}/_strongroom/live`)).status, 200)
  })
})

describe('the region of a request', () => {
  for (const [what, header, expected] of [
    ['a signature', authorization('eu-west-1'), { region: 'eu-west-1', service: 'cloudhsm' }],
    ['no signature', undefined, undefined],
    ['another scheme', 'Basic dGVzdDp0ZXN0', undefined],
    ['a scope cut short', 'AWS4-HMAC-SHA256 Credential=AKID/20261124/eu-west-1', undefined],
    ['a scope of another kind', 'AWS4-HMAC-SHA256 Credential=AKID/20261124/eu-west-1/cloudhsm/aws5', undefined],
  ] as const) {
    test(`is taken from ${what}`, () => {
      assert.deepEqual(scopeOf(header === undefined ? {} : { authorization: header }), expected)
    })
  }
})

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += String(chunk)
  return text
}
