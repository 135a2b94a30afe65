/**
 * What several HSMs say about a user, put together. A user is a creation, which has a name of its own: changes and
 * deletions are of that one. So a change that was made where the deletion was not known yet does not bring the user back,
 * and whoever is made again under the name has nothing of the one before. Password and key for signing tokens are apart:
 * changes of both that were made at once both stand.
 */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { ROLES } from '../protocol/values.ts'
import { passwordHash } from './passwords.ts'
import { latest, type Meaning, type Speaker, type Statement } from './statements.ts'
import { tokenSign } from './token-sign.ts'
import { decodeUser, encodeUser, type UserRecord } from './user-record.ts'

const packr = new Packr({ useRecords: false })

/** A field and the counter of the statement that it was set with. */
const stamped = <Shape extends z.ZodType>(value: Shape) => z.object({ counter: z.number(), value })

const saidUser = z.object({
  /** Who made the user, and a number that is higher for every user of this name that the same HSM makes later. */
  by: z.string(),
  nth: z.number(),
  /** Of the statement that made the user. */
  counter: z.number(),
  username: z.string(),
  role: z.enum(ROLES),
  /** Absent where this HSM did not set it. */
  password: stamped(passwordHash).optional(),
  tokenSign: stamped(tokenSign.nullable()).optional(),
})
type SaidUser = z.infer<typeof saidUser>

const saidOfName = z.object({
  user: saidUser.optional(),
  /** Of each HSM, up to which number the users of this name that it made are deleted. One makes another only then. */
  gone: z.record(z.string(), z.number()),
})
type SaidOfName = z.infer<typeof saidOfName>

/** What an HSM says of a name, out of its statement. */
export const decodeSaid = (value: Uint8Array): SaidOfName => saidOfName.parse(packr.unpack(value))

/** The maker of users from before there were statements. */
const UNKNOWN = ''

interface Heard {
  readonly hsmId: string
  readonly own: boolean
  readonly says: SaidOfName
}

/** One user as several HSMs say. */
interface Joined extends Pick<SaidUser, 'by' | 'nth' | 'counter'> {
  readonly record: UserRecord
}

export const USERS: Meaning = {
  read(statements) {
    const user = newest(living(heard(statements)))
    return user && encodeUser(user.record)
  },

  say(value, statements, speaker) {
    const all = heard(statements)
    const own = all.find((each) => each.own && each.hsmId === speaker.hsmId)?.says
    const users = living(all)
    const user = newest(users)
    const next = { ...speaker, nth: Math.max(speaker.nth, 1 + lastBy(speaker.hsmId, all)) }
    const said = value ? wanted(decodeUser(value), user, own, next) : { gone: withGone(own, users.map(userOf)) }
    return packr.pack(said satisfies SaidOfName)
  },
}

/** A new user, or what is changed of the one there is. */
function wanted(
  record: UserRecord,
  user: Joined | undefined,
  own: SaidOfName | undefined,
  speaker: Speaker,
): SaidOfName {
  const { counter, hsmId } = speaker
  const { username, role, password } = record
  const key = record.tokenSign ?? null
  if (!user) {
    const made = { by: hsmId, nth: speaker.nth, counter, username, role, password: { counter, value: password } }
    const gone = withGone(own, [{ by: hsmId, nth: speaker.nth - 1 }])
    return { user: { ...made, ...(key && { tokenSign: { counter, value: key } }) }, gone }
  }
  const { by, nth, record: standing } = user
  return {
    user: {
      ...(own?.user?.by === by && own.user.nth === nth && own.user),
      ...{ by, nth, counter: user.counter, username: standing.username, role: standing.role },
      ...(!same(password, standing.password) && { password: { counter, value: password } }),
      ...(!same(key, standing.tokenSign ?? null) && { tokenSign: { counter, value: key } }),
    },
    gone: own?.gone ?? {},
  }
}

/** An HSM that lost its store and came back numbers its users on from where it was. */
function lastBy(hsmId: string, all: readonly Heard[]): number {
  const numbers = all.flatMap(({ says: { user, gone } }) => [gone[hsmId] ?? 0, user?.by === hsmId ? user.nth : 0])
  return Math.max(0, ...numbers)
}

function withGone(own: SaidOfName | undefined, more: readonly Pick<SaidUser, 'by' | 'nth'>[]): SaidOfName['gone'] {
  const gone = { ...own?.gone }
  for (const { by, nth } of more) gone[by] = Math.max(nth, gone[by] ?? 0)
  return gone
}

function heard(statements: readonly Statement[]): Heard[] {
  return statements.flatMap(({ kept, counter, hsmId, value, own }): Heard[] => {
    if (!value) return []
    if (own) return [{ hsmId, own, says: decodeSaid(value) }]
    const { username, role, password, tokenSign: key } = decodeUser(value)
    const set = { password: { counter, value: password }, ...(key && { tokenSign: { counter, value: key } }) }
    const user = { by: UNKNOWN, nth: kept.version.counter, counter, username, role, ...set }
    return [{ hsmId, own, says: { user, gone: {} } }]
  })
}

/** What is said of users who are not deleted. */
function living(all: readonly Heard[]): (Heard & { readonly user: SaidUser })[] {
  const isGone = ({ by, nth }: SaidUser) => all.some(({ says }) => (says.gone[by] ?? -1) >= nth)
  return all.flatMap((each) => {
    const { user } = each.says
    return user && !isGone(user) ? [{ ...each, user }] : []
  })
}

const userOf = ({ user }: { readonly user: SaidUser }) => user

/**
 * Of users that HSMs made at once the same one on every HSM. Undefined also while no password is known: whoever made the
 * user took that back, and another HSM has changed something else of it.
 */
function newest(said: ReturnType<typeof living>): Joined | undefined {
  const creations = said.map(({ user }) => ({ counter: user.counter, hsmId: nameOf(user), value: user }))
  const made = latest(creations)?.value
  const all = said.filter(({ user }) => made && user.by === made.by && user.nth === made.nth)
  const field = <Value>(set: (user: SaidUser) => { counter: number; value: Value } | undefined) =>
    latest(
      all.flatMap(({ hsmId, user }) => {
        const found = set(user)
        return found ? [{ hsmId, ...found }] : []
      }),
    )?.value
  const password = field((user) => user.password)
  if (!made || !password) return undefined
  const { by, nth, counter, username, role } = made
  const key = field((user) => user.tokenSign)
  return { by, nth, counter, record: { username, role, password, ...(key && { tokenSign: key }), id: nameOf(made) } }
}

/** Of a creation. */
export const nameOf = ({ by, nth }: Pick<SaidUser, 'by' | 'nth'>) => `${by}@${nth}`

const same = (one: unknown, other: unknown) => Buffer.from(packr.pack(one)).equals(packr.pack(other))
