/** NextToken: where the next page begins, sealed so that it fits the query and the caller it was given to only. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { invalidRequest } from '../../provider-schema/errors.ts'

/** 128 bits: enough that nobody guesses one, short enough for the model's 256 characters. */
const SEAL_BYTES = 16

/** The whole query apart from NextToken and MaxResults: operation, caller's account, filters, order. */
export type PagedQuery = readonly unknown[]

/** A token for the page that begins after `position`. */
export function pageToken(key: Buffer, query: PagedQuery, position: string): string {
  return Buffer.concat([seal(key, query, position), Buffer.from(position)]).toString('base64url')
}

/** The position in a token. Throws CloudHsmInvalidRequestException when it is not one that was given for this query. */
export function positionIn(key: Buffer, query: PagedQuery, token: string): string {
  const bytes = Buffer.from(token, 'base64url')
  const position = bytes.subarray(SEAL_BYTES).toString()
  const sealed = bytes.subarray(0, SEAL_BYTES)
  const genuine = sealed.length === SEAL_BYTES && timingSafeEqual(sealed, seal(key, query, position))
  if (!genuine) throw invalidRequest('The NextToken is not valid for this request.')
  return position
}

function seal(key: Buffer, query: PagedQuery, position: string): Buffer {
  return createHmac('sha256', key)
    .update(JSON.stringify([...query, position]))
    .digest()
    .subarray(0, SEAL_BYTES)
}
