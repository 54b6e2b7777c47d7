/** The README and the pages: every command runs as it stands there, links lead somewhere, and the example is the code's. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { expect, it } from 'vitest';
import type { RunInfo } from '../edge/run-info.ts';
import { didFromPublicKey } from '../edge/wire/did.ts';
import { publicKeyOf, signEd25519 } from '../edge/wire/ed25519.ts';
import { encodeEnvelope } from '../edge/wire/envelope.ts';
import { ROOT, run, start } from './support/cli.ts';
import { tempFolder } from './support/temp.ts';
import { wholeTruth } from './support/whole-truth.ts';

const PAGES = ['device-maker', 'city-engineer', 'plants', 'tester', 'auditor', 'operator'].map(
  (p) => `edge/docs/${p}.md`,
);
const FILES = ['README.md', ...PAGES];
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
/** `stopped`: to be run when the demo has ended. */
const blocks = FILES.flatMap((file) =>
  [...read(file).matchAll(/^```sh( stopped)?\n([\s\S]*?)^```$/gm)].map((m) => ({
    file,
    stopped: m[1] !== undefined,
    text: m[2] as string,
  })),
);
/** What the two commands install and test is what runs this test: they are run by .ci/run and test/e2e/demo.test.ts. */
const THE_TWO = ['npm ci && npm start\n', 'npm ci && npm test\n'];

/** Pages without commands. */
const OTHERS = ['edge/docs/figures.md', 'edge/docs/limits.md'];
/** As GitHub names the places of a page. */
const headings = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    (title as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

function succeeds(command: string): boolean {
  try {
    execFileSync('sh', ['-c', command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const has = (program: string): boolean => succeeds(`command -v ${program}`);

const NEEDED: [string, boolean][] = [
  ['mosquitto_pub (Debian: mosquitto-clients)', has('mosquitto_pub')],
  ['curl', has('curl')],
  [
    'a C compiler and libsodium (Debian: gcc, libc6-dev, libsodium-dev)',
    has('cc') && existsSync('/usr/include/sodium.h'),
  ],
  ['Debian: python3-nacl, python3-paho-mqtt', succeeds('/usr/bin/python3 -c "import nacl.signing, paho.mqtt.client"')],
];

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
};

it('the README names the two commands', () => {
  expect(blocks.filter(({ file }) => file === 'README.md').map(({ text }) => text)).toEqual(
    expect.arrayContaining(THE_TWO),
  );
});

it('every link leads somewhere, and every picture is there', () => {
  const dead: string[] = [];
  for (const file of [...FILES, ...OTHERS])
    for (const [, link, image] of read(file).matchAll(/\]\(([^)\s]+)\)|<img [^>]*src="([^"]+)"/g)) {
      const target = link ?? image;
      const [path, place] = (target as string).split('#') as [string, string?];
      if (/^https?:/.test(path)) continue;
      const to = path === '' ? file : relative(ROOT, join(ROOT, dirname(file), path));
      if (to.startsWith('..') || !existsSync(join(ROOT, to))) dead.push(`${file}: ${target}`);
      else if (place && !headings(read(to)).includes(place)) dead.push(`${file}: ${target} names no heading`);
    }
  expect(dead).toEqual([]);
});

it('the example in hex is what the encoder makes, signed with the key of RFC 8032', () => {
  const block = /```hex\n([\s\S]*?)```/.exec(read('edge/docs/device-maker.md'))?.[1] as string;
  const bytes = Buffer.from(block.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex');
  // RFC 8032 section 7.1, TEST 1.
  const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
  const iss = didFromPublicKey(publicKeyOf(seed));
  const envelope = encodeEnvelope(
    { iss, sub: 'urn:sejong:mp:000123', iat: 1_795_564_800, epoch: 7, seq: 42 },
    [{ n: '1-0:2.8.0', u: 'Wh', v: 6_308_654 }],
    (signed) => {
      expect(block.length > 0 && read('edge/docs/device-maker.md')).toContain(`${signed.length} bytes here`);
      return signEd25519(signed, seed);
    },
  );
  expect(bytes.toString('hex')).toBe(Buffer.from(envelope).toString('hex'));
});

it('each command works as it stands there', { timeout: 420_000 }, async (context) => {
  const missing = NEEDED.filter(([, there]) => !there).map(([name]) => name);
  if (missing.length > 0) context.skip(`needs ${missing.join(', ')}`);
  // A folder that is the checkout, but for its own data: nothing of the user's is touched.
  const folder = tempFolder();
  for (const name of ['package.json', 'node_modules', 'edge', 'firmware-sim', 'contracts', 'flows'])
    symlinkSync(join(ROOT, name), join(folder, name));
  const demo = start('npm', ['start', '--silent', '--', '--mqtt', '0', '--http', '0', '--no-flows'], { cwd: folder });
  await demo.line(/ anchor {2}/);
  const info = JSON.parse(readFileSync(join(folder, 'data', 'run.json'), 'utf8')) as RunInfo;
  const chainPort = await freePort();
  const mqttPort = new URL(info.mqtt).port;
  const here = (text: string): string =>
    text
      .replaceAll('8545', String(chainPort))
      .replaceAll('127.0.0.1:1883', new URL(info.mqtt).host)
      .replaceAll('127.0.0.1 1883', `127.0.0.1 ${mqttPort}`)
      .replaceAll('127.0.0.1:8080', new URL(info.http).host)
      .replaceAll('-p 1883', `-p ${mqttPort}`);
  // One shell a page, as a reader has one: what one block sets, the next uses.
  const inOneShell = async (file: string, wanted: boolean): Promise<string> => {
    const script = blocks
      .filter((b) => b.file === file && b.stopped === wanted && !THE_TWO.includes(b.text))
      .map((b) => here(b.text))
      .join('\n');
    const ended = await run('bash', ['-euo', 'pipefail', '-c', script], { cwd: folder });
    expect(ended.code, `${file}\n${ended.stdout}\n${ended.stderr}`).toBe(0);
    return ended.stdout;
  };
  const said: Record<string, string> = {};
  for (const file of FILES) said[file] = await inOneShell(file, false);
  expect(said['edge/docs/auditor.md']).toContain('The receipt holds.');
  expect(said['edge/docs/plants.md']).toContain('The certificate holds');
  expect(said['edge/docs/city-engineer.md']).toMatch(/event: entry/);
  expect(said['edge/docs/operator.md']).toMatch(/^anchors {3}0x/m);
  expect(said['edge/docs/device-maker.md']?.match(/^acknowledged: 123456 Wh/gm)).toHaveLength(2);

  process.kill(info.pid, 'SIGINT');
  expect(await demo.stop('SIGCONT')).toBe(0);
  expect(await inOneShell('edge/docs/auditor.md', true)).toContain('The receipt holds.');
  const truth = wholeTruth(join(folder, 'data'), { verifyOneIn: 25 });
  expect(truth.entries).toBeGreaterThan(100);
});
