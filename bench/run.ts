/** `npm run bench [NAME ...]`: every benchmark one after another, or those named; each prints its own table. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const all = (await readdir(folder))
  .filter((name) => name.endsWith('.ts') && name !== 'run.ts' && !name.endsWith('.test.ts'))
  .map((name) => name.slice(0, -'.ts'.length))
  .toSorted()
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  console.error(`no benchmark called ${unknown.join(', ')}; there are: ${all.join(', ')}`)
  process.exit(1)
}

console.log(
  `Node ${process.version}, OpenSSL ${process.versions.openssl}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
)
console.log('Absolute figures vary with the machine; the ratios are what counts. Run it with nothing else at work.')
for (const name of asked.length > 0 ? asked : all) {
  const child = spawn(process.execPath, [`${folder}${name}.ts`], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) process.exitCode = 1
}
