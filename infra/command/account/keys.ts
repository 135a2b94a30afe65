/** `strongroom account key …`. */
import { accessKeysOf, createAccessKey, deleteAccessKey, setAccessKeyActive } from '../../../api/identity/directory.ts'
import { userArn } from '../../../api/identity/principal.ts'
import { newSecretAccessKey } from '../../../provider-schema/identity.ts'
import { table } from '../table.ts'
import { withAccounts } from './directory.ts'
import type { ListFlags, NewKeyFlags, PlaceFlags } from './flags.ts'
import { secretFromInput } from './input.ts'
import { printNewKey } from './new-key.ts'
import { terminal } from './terminal.ts'

export async function createKey(flags: NewKeyFlags): Promise<void> {
  const given = flags.secretStdin === true ? await secretFromInput() : undefined
  const secret = given ?? newSecretAccessKey()
  const { user } = flags
  await withAccounts(flags, async ({ change, accountOf, identityKey }) => {
    const key = await identityKey()
    let made = { account: '', id: '' }
    await change((present) => {
      const { id: account, directory } = accountOf(present, flags.account)
      const next = createAccessKey(directory, { account, user }, { secret, id: flags.id }, key, new Date())
      made = { account, id: next.id }
      return next.directory
    })
    const principal = user === undefined ? `arn:aws:iam::${made.account}:root` : userArn(made.account, user)
    printNewKey({ principal, id: made.id, secret: given === undefined ? secret : undefined }, flags.json)
  })
}

export async function listKeys(flags: ListFlags): Promise<void> {
  await withAccounts(flags, async ({ read }) => {
    const shown = accessKeysOf(await read()).map(({ holder, key }) => ({
      accessKeyId: key.id,
      account: holder.account,
      user: holder.user ?? 'root',
      status: key.active ? 'Active' : 'Inactive',
      createdAt: key.createdAt,
    }))
    if (flags.json) terminal.say(`${JSON.stringify(shown, null, 2)}\n`)
    else {
      const head = ['ACCESS KEY', 'ACCOUNT', 'USER', 'STATUS', 'MADE']
      terminal.say(
        table(
          head,
          shown.map((each) => Object.values(each)),
        ),
      )
    }
  })
}

export async function setKeyActive(id: string, active: boolean, flags: PlaceFlags): Promise<void> {
  await withAccounts(flags, async ({ change }) => {
    await change((present) => setAccessKeyActive(present, id, active))
    terminal.say(`${id} is ${active ? 'active' : 'inactive'}.\n`)
  })
}

export async function deleteKey(id: string, flags: PlaceFlags): Promise<void> {
  await withAccounts(flags, async ({ change }) => {
    await change((present) => deleteAccessKey(present, id))
    terminal.say(`${id} is gone.\n`)
  })
}
