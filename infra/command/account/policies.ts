/** `strongroom account policy …`. */
import { deletePolicy, policyHolder, putPolicy } from '../../../api/identity/directory.ts'
import { Trouble } from '../../trouble.ts'
import { withAccounts } from './directory.ts'
import type { HolderFlags } from './flags.ts'
import { documentFrom } from './input.ts'
import { terminal } from './terminal.ts'

export async function put(name: string, file: string, flags: HolderFlags): Promise<void> {
  const document = await documentFrom(file)
  const { user, role } = flags
  await withAccounts(flags, async ({ change, accountOf }) => {
    await change((present) => {
      const { id: account, directory } = accountOf(present, flags.account)
      return putPolicy(directory, { account, user, role }, name, document)
    })
    terminal.say(`The policy ${name} holds within a second.\n`)
  })
}

export async function remove(name: string, flags: HolderFlags): Promise<void> {
  const { user, role } = flags
  await withAccounts(flags, async ({ change, accountOf }) => {
    await change((present) => {
      const { id: account, directory } = accountOf(present, flags.account)
      return deletePolicy(directory, { account, user, role }, name)
    })
    terminal.say(`The policy ${name} is gone.\n`)
  })
}

export async function list(flags: HolderFlags): Promise<void> {
  const { user, role } = flags
  await withAccounts(flags, async ({ read, accountOf }) => {
    const { id: account, directory } = accountOf(await read(), flags.account)
    const { policies } = policyHolder(directory, { account, user, role })
    for (const name of Object.keys(policies).toSorted()) terminal.say(`${name}\n`)
  })
}

export async function show(name: string, flags: HolderFlags): Promise<void> {
  const { user, role } = flags
  await withAccounts(flags, async ({ read, accountOf }) => {
    const { id: account, directory } = accountOf(await read(), flags.account)
    const document = policyHolder(directory, { account, user, role }).policies[name]
    if (document === undefined) throw new Trouble(`There is no policy ${name}.`)
    terminal.say(document.endsWith('\n') ? document : `${document}\n`)
  })
}
