/** Making keys. */
import { z } from 'zod'
import { attributeTemplate, keyInfo } from '../attributes.ts'
import type { OperationTable } from '../envelope.ts'
import { CURVES } from '../mechanisms.ts'
import { creation } from './creation.ts'

export const generateOperations = {
  'key-generate-aes': {
    params: z.strictObject({
      lengthBytes: z.union([z.literal(16), z.literal(24), z.literal(32)]),
      attributes: attributeTemplate,
      ...creation,
    }),
    result: z.object({ key: keyInfo }),
  },
  'key-generate-rsa': {
    params: z.strictObject({
      modulusBits: z
        .number()
        .int()
        .min(2048)
        .max(4096)
        .refine((bits) => bits % 256 === 0, 'a modulus has 2048 to 4096 bits in steps of 256'),
      publicExponent: z
        .number()
        .int()
        .min(65537)
        .max(0xffffffff)
        .refine((e) => e % 2 === 1, 'a public exponent is odd'),
      publicAttributes: attributeTemplate,
      privateAttributes: attributeTemplate,
      ...creation,
    }),
    result: z.object({ publicKey: keyInfo, privateKey: keyInfo }),
  },
  'key-generate-ec': {
    params: z.strictObject({
      curve: z.enum(CURVES),
      publicAttributes: attributeTemplate,
      privateAttributes: attributeTemplate,
      ...creation,
    }),
    result: z.object({ publicKey: keyInfo, privateKey: keyInfo }),
  },
} as const satisfies OperationTable
