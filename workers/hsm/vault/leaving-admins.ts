/**
 * Deleting an admin so that HSMs which cannot reach each other never delete the last ones between them.
 *
 * First a majority of the HSMs holds that the admin is leaving, and what a majority holds is looked at; only then the
 * user goes. Two majorities share an HSM: of two deletions at least one sees the other. An HSM that ends in between
 * leaves an admin who counts as leaving, who is there all the same, and whose deletion can be asked for again.
 */
import { HsmError } from '../protocol/errors.ts'
import { recordsOf } from './contested-records.ts'
import type { FeedEntry } from './record-store.ts'
import { SPREAD_TIMEOUT_MS, writeReplicated, type Vaulted } from './replicated-write.ts'
import { userPath, type UserRecord } from './user-record.ts'

const PREFIX = 'leaving/'
/** Whoever comes under the name later is not leaving. */
const leavingPath = ({ username, id }: Leaving) => `${PREFIX}${username}/${id ?? ''}`
/** Nothing but that it is there. */
const LEAVING = Buffer.from([1])

type Leaving = Pick<UserRecord, 'username' | 'id'>

export class LeavingAdmins {
  readonly #vaulted: Vaulted
  readonly #paths = new Set<string>()

  constructor(vaulted: Vaulted) {
    this.#vaulted = vaulted
  }

  has(admin: Leaving): boolean {
    return this.#paths.has(leavingPath(admin))
  }

  /** To be told of every record that comes to hold. */
  take({ path, value }: FeedEntry): void {
    if (!path.startsWith(PREFIX)) return
    if (value === undefined) this.#paths.delete(path)
    else this.#paths.add(path)
  }

  /**
   * Deletes the admin, unless `refuse` throws: asked once all that a majority holds has arrived. Throws what it throws,
   * NotEnoughCopies, StorageFailed; nothing changed then.
   */
  async delete(admin: Leaving, refuse: () => void): Promise<void> {
    const { store, replication } = this.#vaulted
    const majority = Math.floor(replication.members().length / 2) + 1
    const refusal = `an admin is deleted by a majority of the cluster's HSMs (${majority}), and so many did not answer in time`
    const path = leavingPath(admin)
    await writeReplicated(this.#vaulted, [{ path, value: LEAVING }], {
      copies: majority,
      refusal,
      async confirm() {
        const seen = await replication.catchUp(SPREAD_TIMEOUT_MS)
        if (seen < majority) throw new HsmError('NotEnoughCopies', refusal)
        refuse()
      },
    })
    const gone = [userPath(admin.username), path].map((each) => ({ path: each, value: undefined }))
    try {
      await writeReplicated(this.#vaulted, gone, { copies: majority, refusal })
    } catch (error) {
      const stays = recordsOf(store).stating([{ path, value: undefined }])
      void replication.spread(await store.write(stays), SPREAD_TIMEOUT_MS)
      throw error
    }
  }
}
