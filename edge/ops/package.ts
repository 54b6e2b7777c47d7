/**
 * npm run package: makes the .deb of each architecture, and says how large they are.
 *
 *   npm run package -- [--arch amd64,arm64] [--out DIR] [--version V] [--fast]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildConsole } from '../console-build.ts';
import { VERSION } from '../version.ts';
import { type Deb, makeDeb } from './deb.ts';
import { ARCHITECTURES, type Architecture, makeTree, ROOT } from './tree.ts';

/** SOURCE_DATE_EPOCH where it is set (reproducible-builds.org), else the time of the newest commit, in s. */
export function sourceDate(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given) return Number(given);
  return Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', default: Object.keys(ARCHITECTURES).join(',') },
      out: { type: 'string', default: 'dist' },
      version: { type: 'string', default: VERSION },
      fast: { type: 'boolean', default: false },
    },
  });
  const temporary = mkdtempSync(join(tmpdir(), 'sejong-edge-package-'));
  try {
    const consoleFolder = await buildConsole(join(temporary, 'console'));
    for (const name of values.arch.split(',')) {
      if (!Object.hasOwn(ARCHITECTURES, name))
        throw new Error(`--arch ${name}: there are ${Object.keys(ARCHITECTURES).join(', ')}`);
      const architecture = name as Architecture;
      const tree = join(temporary, architecture);
      mkdirSync(tree);
      await makeTree(tree, architecture, consoleFolder);
      const deb = makeDeb(tree, {
        ...{ out: resolve(values.out), version: values.version, architecture, epochSeconds: sourceDate() },
        compression: values.fast ? 'zstd' : 'xz',
      });
      rmSync(tree, { recursive: true });
      console.log(describe(deb));
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const describe = ({ path, bytes, installedBytes, files, sha256 }: Deb): string =>
  `${path}  ${mb(bytes)}, installed ${mb(installedBytes)} in ${files} files, sha256 ${sha256}`;

if (import.meta.main) await main();
