import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openFleet } from '../pki/fleet.ts'
import { PLACES } from '../places.ts'
import { regionPlaces } from '../region/places.ts'
import { checkHsms } from './check-hsms.ts'

const HSM = fileURLToPath(new URL('../../workers/hsm/main.ts', import.meta.url))

test('the doctor tells of an HSM whose store is damaged what is wrong with it and how to recover', async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'doctor-'))
  t.after(() => rm(data, { recursive: true, force: true }))
  assert.equal((await checkHsms(data)).verdict, 'ok')
  const fleet = await openFleet(join(data, PLACES.fleet))
  const directory = join(regionPlaces(data, 'us-east-1').hsms, 'hsm-aaaaaaaaaaa')
  await mkdir(join(directory, 'store'), { recursive: true })
  const { root, controlCa, manufacturerCa, backupKeyFile } = fleet
  const config = {
    hsmId: 'hsm-aaaaaaaaaaa',
    hsmType: 'hsm2m.medium',
    address: '127.0.0.1',
    eniIp: '127.0.0.1',
    ports: { client: 2223, peer: 2224, management: 2225 },
    trust: { root, controlCa, manufacturerCa },
    fleetBackupKeyFile: backupKeyFile,
  }
  await writeFile(join(directory, 'hsm.json'), JSON.stringify(config))
  await writeFile(join(directory, 'seal.key'), randomBytes(32), { mode: 0o600 })
  await writeFile(join(directory, 'store', 'data.mdb'), randomBytes(16_384))
  const { status, stdout } = spawnSync(process.execPath, [HSM, '--dir', directory], { encoding: 'utf8' })
  assert.equal(status, 1)
  await writeFile(join(directory, 'hsm.log'), stdout)
  const { verdict, says, mend } = await checkHsms(data)
  assert.equal(verdict, 'fail')
  assert.match(
    says,
    /^hsm-aaaaaaaaaaa: the sealed store .* is damaged: it is not a database any more\. Nothing of it was used\.$/,
  )
  assert.match(mend ?? '', /while another HSM of the cluster runs, delete this one and create one in its place/)
  assert.match(mend ?? '', /create a cluster from the newest backup/)
})
