/** Attributes of a key to be made, as `--attributes sign=true id=0x01` writes them. */
import { z } from 'zod'
import { attributeTemplate, BOOLEAN_ATTRIBUTES, type AttributeTemplate } from '../../workers/hsm/protocol/attributes.ts'

/** `token` is what `--session` is for; labels have flags of their own. */
const SETTABLE = [...BOOLEAN_ATTRIBUTES.filter((name) => name !== 'token'), 'id'] as const
type Settable = (typeof SETTABLE)[number]

const isSettable = (name: string): name is Settable => SETTABLE.some((known) => known === name)

/** Which of them a key may be made with is the HSM's to say; here only names and values are checked. */
export const attributesFlag = z
  .array(z.string())
  .default([])
  .transform((words, context): AttributeTemplate => {
    const attributes: Record<string, string | boolean> = {}
    const invalid = (message: string) => {
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    }
    for (const word of words) {
      const at = word.indexOf('=')
      const name = word.slice(0, at)
      const value = word.slice(at + 1)
      if (at < 1) return invalid(`"${word}" is not NAME=VALUE`)
      if (!isSettable(name)) return invalid(`"${name}" cannot be set. There are: ${SETTABLE.join(', ')}`)
      if (name in attributes) return invalid(`"${name}" is given twice`)
      if (name === 'id') attributes[name] = value
      else if (value === 'true' || value === 'false') attributes[name] = value === 'true'
      else return invalid(`${name} is true or false, not "${value}"`)
    }
    const template = attributeTemplate.safeParse(attributes)
    return template.success ? template.data : invalid(template.error.issues.map(({ message }) => message).join('; '))
  })

/** What `--session` and a label add to a template. */
export function withLabel(template: AttributeTemplate, label: string, session: boolean): AttributeTemplate {
  return { ...template, label, ...(session && { token: false }) }
}
