/** Signed requests as bytes, made before the clock starts. */
import { signed } from '../../api/testing/signer.ts'

export interface Page {
  readonly Clusters?: readonly unknown[]
  readonly NextToken?: string
}

function headersFor(port: number, operation: string, body: string, accessKeyId: string): Record<string, string> {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `BaldrApiService.${operation}` }
  return signed({ host: `127.0.0.1:${port}`, headers, body, accessKeyId })
}

/** A whole request; by default of the account that has the stored clusters. */
export function requestBytes(port: number, operation: string, input: object, accessKeyId = 'test'): Buffer {
  const body = JSON.stringify(input)
  const lines = Object.entries(headersFor(port, operation, body, accessKeyId)).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  return Buffer.from(`POST / HTTP/1.1\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

/** Asks once; throws when it is refused. */
export async function post(port: number, operation: string, input: object, accessKeyId = 'test'): Promise<Page> {
  const body = JSON.stringify(input)
  const headers = headersFor(port, operation, body, accessKeyId)
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })
  if (!response.ok) throw new Error(`${operation}: ${await response.text()}`)
  return (await response.json()) as Page
}

/** A DescribeClusters request for each page, at most so many; every page must be full. */
export async function pageRequests(port: number, { page, most }: { page: number; most: number }): Promise<Buffer[]> {
  const requests: Buffer[] = []
  let token: string | undefined
  // moto's last page has a token as well.
  while (requests.length < most) {
    const input = { MaxResults: page, ...(token !== undefined && { NextToken: token }) }
    requests.push(requestBytes(port, 'DescribeClusters', input))
    const { Clusters, NextToken } = await post(port, 'DescribeClusters', input)
    if (Clusters?.length !== page) throw new Error(`a page has ${String(Clusters?.length)} clusters`)
    token = NextToken
    if (token === undefined) break
  }
  return requests
}
