/**
 * Compiles the contracts and writes what the gateway needs of them to contracts/artifacts, which is in git: a gateway
 * on a Raspberry Pi has no compiler.
 *
 *   node contracts/build.ts           writes the artifacts
 *   node contracts/build.ts --check   compiles, and fails where a committed artifact isn't what the sources give
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const CONTRACTS = ['Anchors', 'Credits', 'Devices', 'KrwDepositToken', 'Market'];

const here = import.meta.dirname;
const bin = join(here, '../node_modules/.bin');
const artifacts = join(here, 'artifacts');
const check = process.argv.includes('--check');

/** What forge writes about a contract, as far as it is used here. */
type Compiled = { abi: unknown[]; bytecode: { object: string }; metadata: { compiler: { version: string } } };

// A folder of its own, not forge's cache: what else was compiled before, and when, must not show in the artifact.
const out = mkdtempSync(join(tmpdir(), 'sejong-contracts-'));
let stale = false;
try {
  forgeBuild(out);
  for (const name of CONTRACTS) {
    const file = join(artifacts, `${name}.json`);
    const fresh = artifact(name, out);
    if (!check) {
      mkdirSync(artifacts, { recursive: true });
      writeFileSync(file, fresh);
    } else if (committed(file) !== fresh) {
      stale = true;
      console.error(`contracts/artifacts/${name}.json is not what the sources give: run \`node contracts/build.ts\``);
    }
  }
} finally {
  rmSync(out, { recursive: true });
}
process.exitCode = stale ? 1 : 0;

function forgeBuild(out: string): void {
  // forge, and the compiler it starts (solc.mjs), are node scripts: they must find the node that came from npm.
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
  const args = ['build', 'src', '--out', join(out, 'out'), '--cache-path', join(out, 'cache')];
  execFileSync(join(bin, 'forge'), args, { cwd: here, env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function artifact(name: string, out: string): string {
  const path = join(out, 'out', `${name}.sol`, `${name}.json`);
  const compiled = JSON.parse(readFileSync(path, 'utf8')) as Compiled;
  const { abi, bytecode, metadata } = compiled;
  const fields = { contractName: name, compiler: metadata.compiler.version, abi, bytecode: bytecode.object };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

function committed(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
