import { configureCli } from './program.ts'

process.exitCode = await configureCli(process.argv.slice(2), process.env)
