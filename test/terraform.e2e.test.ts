/**
 * The unmodified hashicorp/aws provider on the product: apply, an empty plan, new tags in place, import, destroy.
 *
 * Only with STRONGROOM_TERRAFORM=1: the provider waits 30 s for each resource before it first looks, three minutes in
 * all. It needs terraform and a filesystem mirror that holds the provider, at TERRAFORM_MIRROR or a usual place.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startProduct } from './support/product.ts'

const run = promisify(execFile)

const MIRRORS = [
  process.env['TERRAFORM_MIRROR'],
  '/opt/tf-plugins',
  join(homedir(), '.terraform.d/plugins'),
  '/usr/share/terraform/plugins',
  '/usr/local/share/terraform/plugins',
]
const mirror = MIRRORS.find(
  (path) => path !== undefined && existsSync(join(path, 'registry.terraform.io/hashicorp/aws')),
)

function reasonToSkip(): string | false {
  if (process.env['STRONGROOM_TERRAFORM'] !== '1') return 'it takes three minutes: STRONGROOM_TERRAFORM=1 runs it'
  if (spawnSync('terraform', ['version']).error) return 'terraform is not installed'
  if (mirror === undefined) return 'no mirror on this machine holds the provider hashicorp/aws (TERRAFORM_MIRROR)'
  return false
}

const configuration = (url: string) => `
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                  = "us-east-1"
  access_key              = "test"
  secret_key              = "test"
  skip_metadata_api_check = true
  endpoints {
    cloudhsmv2 = "${url}"
    sts        = "${url}"
  }
}

variable "tags" {
  type    = map(string)
  default = { Owner = "terraform" }
}

resource "aws_cloudhsm_v2_cluster" "this" {
  hsm_type   = "hsm2m.medium"
  mode       = "FIPS"
  subnet_ids = ["subnet-0c0c0c0c0c0c0c0c1", "subnet-0c0c0c0c0c0c0c0c2"]
  tags       = var.tags
}

resource "aws_cloudhsm_v2_hsm" "first" {
  cluster_id = aws_cloudhsm_v2_cluster.this.cluster_id
  subnet_id  = tolist(aws_cloudhsm_v2_cluster.this.subnet_ids)[0]
}

data "aws_cloudhsm_v2_cluster" "this" {
  cluster_id = aws_cloudhsm_v2_cluster.this.cluster_id
  depends_on = [aws_cloudhsm_v2_hsm.first]
}

output "csr" {
  value = data.aws_cloudhsm_v2_cluster.this.cluster_certificates[0].cluster_csr
}

output "hsm" {
  value = aws_cloudhsm_v2_hsm.first.hsm_id
}

output "cluster" {
  value = aws_cloudhsm_v2_cluster.this.cluster_id
}
`

test(
  'Terraform applies a cluster and an HSM, sees no difference, changes tags in place, imports and destroys',
  { skip: reasonToSkip(), timeout: 900_000 },
  async (t) => {
    const product = await startProduct()
    t.after(() => product.dispose())
    const dir = await mkdtemp(join(tmpdir(), 'strongroom-terraform-'))
    t.after(() => rm(dir, { recursive: true, force: true }))
    const at = join(dir, 'configuration')
    await mkdir(at)
    await writeFile(join(at, 'main.tf'), configuration(product.url))
    const settings = `provider_installation {\n  filesystem_mirror {\n    path = "${mirror ?? ''}"\n  }\n}\n`
    await writeFile(join(dir, 'settings'), settings)
    const env = {
      PATH: process.env['PATH'],
      HOME: dir,
      TF_CLI_CONFIG_FILE: join(dir, 'settings'),
      CHECKPOINT_DISABLE: '1',
      TF_IN_AUTOMATION: '1',
    }
    const terraform = async (...args: readonly string[]) =>
      (await run('terraform', args, { cwd: at, env, maxBuffer: 16 * 1024 * 1024 })).stdout
    const output = (name: string) => terraform('output', '-raw', name)
    const emptyPlan = ['plan', '-input=false', '-no-color', '-detailed-exitcode'] as const
    const aws = product.aws()

    await terraform('init', '-input=false', '-no-color')
    await terraform('apply', '-input=false', '-no-color', '-auto-approve')
    const [cluster, hsm, csr] = await Promise.all([output('cluster'), output('hsm'), output('csr')])
    assert.match(csr, /^-----BEGIN CERTIFICATE REQUEST-----/)
    // With -detailed-exitcode a difference is exit code 2, which rejects.
    assert.match(await terraform(...emptyPlan), /No changes/)

    const tags = ['-var', 'tags={Owner="someone",Stage="two"}']
    assert.match(
      await terraform('apply', '-input=false', '-no-color', '-auto-approve', ...tags),
      /1 changed, 0 destroyed/,
    )
    const { TagList } = await aws.listTags({ ResourceId: cluster })
    assert.deepEqual(TagList, [
      { Key: 'Owner', Value: 'someone' },
      { Key: 'Stage', Value: 'two' },
    ])

    await terraform('state', 'rm', 'aws_cloudhsm_v2_cluster.this', 'aws_cloudhsm_v2_hsm.first')
    await terraform('import', '-input=false', '-no-color', ...tags, 'aws_cloudhsm_v2_cluster.this', cluster)
    await terraform('import', '-input=false', '-no-color', ...tags, 'aws_cloudhsm_v2_hsm.first', hsm)
    await terraform('destroy', '-input=false', '-no-color', '-auto-approve', ...tags)
    const { Clusters = [] } = await aws.describeClusters({ Filters: { clusterIds: [cluster] } })
    assert.deepEqual(
      Clusters.map(({ State, Hsms }) => [State, Hsms]),
      [['DELETED', []]],
    )
  },
)
