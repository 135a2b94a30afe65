// A password given by flag must not stay in the list of processes: setting the title overwrites the argument list.
process.title = 'cloudhsm-cli'
process.stdout.on('error', () => process.exit(1)) // nobody reads on: `| head`

const { cloudhsmCli } = await import('./program.ts')
process.exitCode = await cloudhsmCli(process.argv.slice(2), process.env)
export {}
