/** Signing keys that were derived before: four HMACs less per request. */
import type { Secret } from '../identity/secret.ts'
import { signingKey, type Scope } from './sigv4.ts'

/** More than the access keys that are in use at a time; beyond it the oldest is forgotten. */
const MOST = 1_000

export interface SigningKeys {
  /** The key of an access key for a scope. */
  of(accessKeyId: string, secret: Secret, scope: Scope): Buffer
}

/** An empty store of its own. A secret that changed gives a new key: its holder is compared by identity. */
export function signingKeys(): SigningKeys {
  const known = new Map<string, { secret: Secret; key: Buffer }>()
  return {
    of: (accessKeyId, secret, scope) => {
      const name = `${accessKeyId}/${scope.date}/${scope.region}/${scope.service}`
      const found = known.get(name)
      if (found?.secret === secret) return found.key
      const key = signingKey(secret, scope)
      if (known.size >= MOST) {
        for (const oldest of known.keys()) {
          known.delete(oldest)
          break
        }
      }
      known.set(name, { secret, key })
      return key
    },
  }
}
