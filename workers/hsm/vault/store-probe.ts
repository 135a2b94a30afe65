/**
 * LMDB trusts its file: a broken page can end the process that reads it. So that an HSM with a broken store says so
 * instead of dying without a word, an opening that never ended leaves a mark, and the next start first has another
 * process read the whole file.
 *
 * Run as a program (`store-probe.ts <store>`) it is that other process.
 */
import { spawn } from 'node:child_process'
import { rm, stat, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { open as openDatabase } from 'lmdb'
import { VaultDamaged } from './seal.ts'

/** Runs `open` on the store at `path`; throws VaultDamaged when the file cannot be read without dying of it. */
export async function openGuarded<Result>(path: string, open: () => Promise<Result>): Promise<Result> {
  const mark = `${path}.opening`
  if (await exists(mark)) await probe(path)
  await writeFile(mark, '')
  try {
    return await open()
  } finally {
    await rm(mark, { force: true })
  }
}

async function probe(path: string): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), path], { stdio: 'ignore' })
  const how = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal ?? (code === 0 ? '' : `exit code ${code ?? '?'}`)))
  })
  if (how === '') return
  throw new VaultDamaged(`the sealed store ${path} is damaged: reading its database ends in ${how}`)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

const [, program, store] = process.argv
if (program === fileURLToPath(import.meta.url) && store !== undefined) {
  const database = openDatabase<Buffer, string>({ path: store, encoding: 'binary', readOnly: true })
  let bytes = 0
  for (const { key, value } of database.getRange()) bytes += key.length + value.length
  await database.close()
  process.exit(bytes >= 0 ? 0 : 1)
}
