import { z } from 'zod'
import {
  attributeChange,
  BOOLEAN_ATTRIBUTES,
  carriedTemplate,
  type AttributeChange,
} from '../../../workers/hsm/protocol/attributes.ts'
import { CliError } from '../cli-error.ts'
import { command } from '../command.ts'
import { requiredFilterFlag, selectKey } from '../filters.ts'

const TEMPLATES: readonly string[] = ['wrap-template', 'unwrap-template']
const BOOLEAN: readonly string[] = BOOLEAN_ATTRIBUTES
/** What a key is from its making on (data-plane §3.1). */
const FIXED: readonly string[] = ['always-sensitive', 'local', 'never-extractable', 'private']
const CHANGEABLE = [...BOOLEAN.filter((name) => !FIXED.includes(name)), 'label', 'id', ...TEMPLATES]

export const keySetAttribute = command({
  path: 'key set-attribute',
  summary: 'Change an attribute of one key; admins: the attribute trusted',
  options: [
    {
      flags: '--filter <filter...>',
      description: 'selects exactly one key: key-reference=0x… or attr.NAME=VALUE',
      required: true,
    },
    { flags: '--name <attribute>', description: 'the attribute', required: true, choices: CHANGEABLE },
    {
      flags: '--value <value>',
      description: 'its new value; of a template NAME=VALUE,… or nothing',
      required: true,
    },
  ],
  input: z.object({ filter: requiredFilterFlag, name: z.enum(CHANGEABLE), value: z.string().max(2048) }),
  run: async ({ filter, name, value }, { loggedIn }) => {
    const change = changeOf(name, value)
    const client = await loggedIn()
    const { handle } = await selectKey(client, filter)
    await client.keys.setAttributes(handle, change)
    return { message: 'Attribute set successfully' }
  },
})

/** Throws CliError for a value that the attribute cannot have. */
function changeOf(name: string, value: string): AttributeChange {
  const parsed = attributeChange.safeParse({
    [name]: TEMPLATES.includes(name) ? templateOf(value) : valueOf(name, value),
  })
  if (parsed.success) return parsed.data
  throw new CliError(`--value: ${parsed.error.issues.map(({ message }) => message).join('; ')}`)
}

function valueOf(name: string, value: string): string | boolean {
  if (!BOOLEAN.includes(name)) return value
  if (value !== 'true' && value !== 'false') throw new CliError(`${name} is true or false, not "${value}"`)
  return value === 'true'
}

/** `NAME=VALUE,NAME=VALUE`; nothing takes the template away. */
function templateOf(text: string): unknown {
  if (text === '') return null
  const entries = text.split(',').map((word) => {
    const at = word.indexOf('=')
    if (at < 1) throw new CliError(`"${word}" is not NAME=VALUE`)
    const name = word.slice(0, at)
    return [name, valueOf(name, word.slice(at + 1))] as const
  })
  const template = carriedTemplate.safeParse(Object.fromEntries(entries))
  if (template.success) return template.data
  throw new CliError(`--value: ${template.error.issues.map(({ message }) => message).join('; ')}`)
}
