/** `npm run docs`: writes docs/protocol.md. */
import { writeFileSync } from 'node:fs'
import { PAGE } from './file.ts'
import { protocolPage } from './page.ts'

writeFileSync(PAGE, protocolPage())
