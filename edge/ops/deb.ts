/** A tree of files made into a .deb, the same bytes from the same files. Needs dpkg-deb. */
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { machineOfFile } from './elf.ts';
import type { Architecture } from './tree.ts';

const SCRIPTS = fileURLToPath(new URL('./debian/', import.meta.url));
/** What Node and the embedded chain are linked with; 2.35 is the chain's. */
const DEPENDS = 'adduser, libc6 (>= 2.35), libgcc-s1, libstdc++6';

export type Compression = 'xz' | 'zstd';
export type Deb = { path: string; bytes: number; installedBytes: number; files: number; sha256: string };

/**
 * @param tree gets DEBIAN/, and modes and times of its files are made even
 * @param epochSeconds SOURCE_DATE_EPOCH: the time of all that is in it
 */
export function makeDeb(
  tree: string,
  o: {
    out: string;
    version: string;
    architecture: Architecture;
    epochSeconds: number;
    compression: Compression;
  },
): Deb {
  const control = join(tree, 'DEBIAN');
  rmSync(control, { recursive: true, force: true });
  writeChangelog(tree, o.version, o.epochSeconds);
  const files = even(tree, o);
  const installedBytes = files.reduce((sum, path) => sum + lstatSync(path).size, 0);
  mkdirSync(control);
  const put = (name: string, text: string, mode = 0o644): void => {
    writeFileSync(join(control, name), text);
    chmodSync(join(control, name), mode);
  };
  put(
    'control',
    `Package: sejong-edge
Version: ${o.version}
Architecture: ${o.architecture}
Maintainer: Sejong Edge <sejong-edge@localhost>
Installed-Size: ${Math.ceil(installedBytes / 1024)}
Depends: ${DEPENDS}
Recommends: chrony | time-daemon, ca-certificates
Section: net
Priority: optional
Description: gateway for signed telemetry of a city's meters and vehicles
 Takes telemetry from meters, plants and vehicles, checks that each reading is
 signed by the device it came from, keeps it in a Merkle log whose roots go to a
 chain, and makes renewable-energy credits and checks of vehicles of it. Brings
 its own Node.js, and Node-RED for flows beside it.
`,
  );
  put('conffiles', '/etc/default/sejong-edge\n');
  for (const name of ['postinst', 'prerm', 'postrm'])
    put(name, readFileSync(join(SCRIPTS, `${name}.sh`), 'utf8'), 0o755);
  const sums = files
    .filter((path) => lstatSync(path).isFile())
    .map((path) => `${hash('md5', readFileSync(path))}  ${path.slice(tree.length + 1)}`);
  put('md5sums', `${sums.sort().join('\n')}\n`);
  for (const path of [...walk(control), control, tree]) lutimesSync(path, o.epochSeconds, o.epochSeconds);

  mkdirSync(o.out, { recursive: true });
  const path = join(o.out, `sejong-edge_${o.version}_${o.architecture}.deb`);
  const level = o.compression === 'xz' ? '-z6' : '-z3';
  execFileSync(
    'dpkg-deb',
    ['--build', '--root-owner-group', '--threads-max=2', `-Z${o.compression}`, level, tree, path],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, SOURCE_DATE_EPOCH: String(o.epochSeconds) } },
  );
  const made = readFileSync(path);
  return { path, bytes: made.length, installedBytes, files: files.length, sha256: hash('sha256', made) };
}

function* walk(folder: string): Generator<string> {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (lstatSync(path).isDirectory()) yield* walk(path);
    yield path;
  }
}

/** @throws Error where a binary is for another machine */
function even(
  tree: string,
  { architecture, epochSeconds }: { architecture: Architecture; epochSeconds: number },
): string[] {
  const files: string[] = [];
  for (const path of [...walk(tree), tree]) {
    const stat = lstatSync(path);
    if (stat.isDirectory()) chmodSync(path, 0o755);
    else files.push(path);
    if (stat.isFile()) {
      const machine = machineOfFile(path);
      if (machine !== undefined && machine !== architecture)
        throw new Error(`${path} is for ${machine}, and the package for ${architecture}`);
      const runs = /\/bin\/[^/]+$/.test(path) && (machine !== undefined || /^#!/.test(readFileSync(path, 'latin1')));
      chmodSync(path, runs ? 0o755 : 0o644);
    }
    lutimesSync(path, epochSeconds, epochSeconds);
  }
  return files;
}

function writeChangelog(tree: string, version: string, epochSeconds: number): void {
  const folder = join(tree, 'usr/share/doc/sejong-edge');
  mkdirSync(folder, { recursive: true });
  const date = new Date(epochSeconds * 1000).toUTCString().replace('GMT', '+0000');
  const text = `sejong-edge (${version}) stable; urgency=medium

  * See the repository's history.

 -- Sejong Edge <sejong-edge@localhost>  ${date}
`;
  writeFileSync(join(folder, 'changelog.gz'), gzipSync(text, { level: 9 }));
}
