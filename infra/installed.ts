/**
 * Run by npm once everything is installed: does ahead what the first start would have to wait for. What goes wrong here
 * is no harm: the first start does it, and says what is wrong.
 */
import './node/compile-ahead.ts'
import { prepare } from './postgres/prepared.ts'

await prepare().catch(() => undefined)
