/** The files of an installed gateway, for one architecture, as they lie below / on the box. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { machineOfFile } from './elf.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OPS = fileURLToPath(new URL('.', import.meta.url));

/** Debian's name of an architecture, and npm's. */
export const ARCHITECTURES = { amd64: 'x64', arm64: 'arm64' } as const;
export type Architecture = keyof typeof ARCHITECTURES;

/** Ours, of the repository. What is only looked at while building stays behind. */
const SOURCES = ['edge', 'firmware-sim', 'flows', 'contracts/artifacts', 'package.json', 'LICENSE'];
const LEFT_OUT = ['edge/ops', 'edge/docs', 'edge/console', 'firmware-sim/samples', 'flows/node_modules'];

/** What is in the prebuilt console already, or only types: nothing imports them at run time. */
const BUILT_IN = ['esbuild', '@esbuild', 'preact', '@preact', 'uplot', 'typescript', '@typescript', '@types'];
/** Sources and headers of what is compiled, and folders that only a package's own authors need. */
const UNUSED = [
  ...['better-sqlite3/deps', 'better-sqlite3/src', 'better-sqlite3/build', 'koffi/vendor', 'koffi/doc'],
  ...['viem/_types', 'ox/_types', 'abitype/src', 'viem/node_modules/ox/_types', '.bin', '.package-lock.json'],
];
const UNUSED_NAMES = new Set(['test', 'tests', '__tests__', '.github', 'benchmark', 'benchmarks']);
const UNUSED_FILES = /\.(map|ts|mts|cts|tsbuildinfo|gyp|gypi)$|^(readme|changelog|history)(\.\w+)*\.(md|markdown)$/i;

/**
 * @param folder must be there and empty; gets usr/, etc/
 * @param consoleFolder a built console, as buildConsole makes it
 */
export async function makeTree(folder: string, architecture: Architecture, consoleFolder: string): Promise<void> {
  const lib = join(folder, 'usr/lib/sejong-edge');
  mkdirSync(lib, { recursive: true });
  for (const source of SOURCES) {
    if (!existsSync(join(ROOT, source))) continue;
    mkdirSync(dirname(join(lib, source)), { recursive: true });
    cpSync(join(ROOT, source), join(lib, source), {
      recursive: true,
      filter: (path) => !LEFT_OUT.includes(path.slice(ROOT.length)),
    });
  }
  cpSync(consoleFolder, join(lib, 'edge/console/dist'), { recursive: true });
  await installPackages(lib, architecture);

  const install = (from: string, to: string, mode = 0o644): void => {
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    copyFileSync(join(OPS, from), join(folder, to));
    chmodSync(join(folder, to), mode);
  };
  install('debian/sejong-edge.sh', 'usr/bin/sejong-edge', 0o755);
  install('debian/sejong-sim.sh', 'usr/bin/sejong-sim', 0o755);
  install('debian/make-passphrase.sh', 'usr/lib/sejong-edge/bin/make-passphrase', 0o755);
  install('debian/default', 'etc/default/sejong-edge');
  for (const unit of readdirSync(join(OPS, 'systemd'))) install(`systemd/${unit}`, `usr/lib/systemd/system/${unit}`);
  for (const part of ['prometheus', 'grafana'])
    for (const file of readdirSync(join(OPS, part)))
      install(`${part}/${file}`, `usr/share/sejong-edge/${part}/${file}`);
  for (const part of ['prometheus', 'grafana'])
    for (const file of readdirSync(join(OPS, part)))
      install(`${part}/${file}`, `usr/share/sejong-edge/${part}/${file}`);
  const doc = join(folder, 'usr/share/doc/sejong-edge');
  mkdirSync(doc, { recursive: true });
  copyFileSync(join(ROOT, 'README.md'), join(doc, 'README.md'));
  writeFileSync(join(doc, 'copyright'), copyright(join(lib, 'node_modules')));
}

/** By the lock file, for that architecture; scripts are not run: all that is native here comes compiled. */
async function installPackages(lib: string, architecture: Architecture): Promise<void> {
  const cpu = ARCHITECTURES[architecture];
  for (const file of ['package-lock.json', '.npmrc']) copyFileSync(join(ROOT, file), join(lib, file));
  const options = ['--omit=dev', '--ignore-scripts', '--os=linux', `--cpu=${cpu}`, '--libc=glibc', '--prefer-offline'];
  const npm = spawn('npm', ['ci', ...options, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: lib,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  npm.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = (await once(npm, 'close')) as [number | null];
  if (code !== 0) throw new Error(`npm ci for ${architecture} ended with ${code}:\n${said}`);
  for (const file of ['package-lock.json', '.npmrc']) rmSync(join(lib, file));

  const modules = join(lib, 'node_modules');
  mkdirSync(join(lib, 'bin'));
  renameSync(join(modules, `node-linux-${cpu}/bin/node`), join(lib, 'bin/node'));
  copyFileSync(join(modules, `node-linux-${cpu}/LICENSE`), join(lib, 'bin/LICENSE'));
  for (const name of [`node-linux-${cpu}`, ...BUILT_IN, ...UNUSED])
    rmSync(join(modules, name), { recursive: true, force: true });
  prune(modules, architecture, true);
}

/** Takes away what is not used at run time, and binaries of other machines. */
function prune(folder: string, architecture: Architecture, isPackageRoot: boolean): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (isPackageRoot && UNUSED_NAMES.has(entry.name)) rmSync(path, { recursive: true });
      else prune(path, architecture, existsSync(join(path, 'package.json')));
      if (existsSync(path) && readdirSync(path).length === 0) rmSync(path, { recursive: true });
    } else if (entry.isFile()) {
      const machine = machineOfFile(path);
      // musl and Android have other loaders: what needs them cannot run here.
      const foreign = machine !== undefined && (machine !== architecture || /musl|android/.test(path));
      if (foreign || UNUSED_FILES.test(entry.name)) rmSync(path);
    }
  }
}

/** DEP-5: ours, and what each package says of itself. */
function copyright(modules: string): string {
  const found = new Map<string, string>();
  const look = (folder: string): void => {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const { name, version, license, licenses } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      const said = license ?? (licenses as { type?: string }[] | undefined)?.map(({ type }) => type).join(' OR ');
      const text = typeof said === 'string' ? said : ((said as { type?: string } | undefined)?.type ?? 'see its files');
      if (typeof name === 'string' && typeof version === 'string') found.set(`${name} ${version}`, text);
    }
    const inner = join(folder, 'node_modules');
    if (existsSync(inner)) packages(inner);
  };
  const packages = (folder: string): void => {
    for (const { name } of readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()))
      if (name.startsWith('@')) packages(join(folder, name));
      else look(join(folder, name));
  };
  packages(modules);
  const lines = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, license]) => `  ${name}: ${license}`);
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: sejong-edge

Files: *
Copyright: the authors of Sejong Edge
License: Apache-2.0
 On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.

Files: usr/lib/sejong-edge/bin/node
Copyright: Node.js contributors
License: Expat-and-others
 The full text is in /usr/lib/sejong-edge/bin/LICENSE.

Files: usr/lib/sejong-edge/node_modules/*
Copyright: the authors of each package
License: each-its-own
 What each package says of itself; the texts lie beside its files.
 .
${lines.join('\n')}
`;
}
