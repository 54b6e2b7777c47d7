/** What a device maker begins with: the samples in C and Python, built and run as their first lines say. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { ROOT, run } from '../support/cli.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

const SAMPLES = join(ROOT, 'firmware-sim/samples');
const SUB = 'urn:sejong:mp:000777';

const works = (program: string, ...args: string[]): boolean => {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
/** Debian's own, which sees Debian's packages. */
const PYTHON = '/usr/bin/python3';
const hasC = works('sh', '-c', 'command -v cc && test -e /usr/include/sodium.h');
const hasPython = works(PYTHON, '-c', 'import nacl.signing, paho.mqtt.client');

/** What the sample says of how it is compiled, but for where. */
function compile(): string {
  const source = join(SAMPLES, 'first-reading.c');
  const text = readFileSync(source, 'utf8');
  expect(text.split('\n').length, 'short enough to be read').toBeLessThan(300);
  const line = /^ \* {3}(cc .*? -lsodium)/m.exec(text)?.[1] as string;
  const program = join(tempFolder(), 'first-reading');
  execFileSync('sh', [
    '-c',
    `${line.replace('-o first-reading first-reading.c', `-Werror -o '${program}' '${source}'`)}`,
  ]);
  return program;
}

const samples: [string, boolean, string, () => string[]][] = [
  ['C', hasC, 'needs a C compiler and libsodium (Debian: gcc, libc6-dev, libsodium-dev)', () => [compile()]],
  [
    'Python',
    hasPython,
    'needs Debian: python3-nacl, python3-paho-mqtt',
    () => [PYTHON, join(SAMPLES, 'first_reading.py')],
  ],
];

describe.each(samples)('the sample in %s', (_, isThere, needs, build) => {
  let command: string[] = [];
  const sample = (...args: string[]) => run(command[0] as string, [...command.slice(1), ...args]);
  const enrol = (gateway: TestGateway, did: string) =>
    gateway.api('/devices', { method: 'POST', body: { did, kind: 'meter', custody: 'device', sub: SUB } });

  it('makes a key, keeps what is not acknowledged, and puts its readings into the log', async (context) => {
    if (!isThere) context.skip(needs);
    command = build();
    const gateway = await startTestGateway();
    const { hostname, port } = new URL(gateway.info.mqtt);
    const folder = join(tempFolder(), 'flash');
    const first = await sample(folder);
    expect(first.code, first.stderr).toBe(0);
    const did = first.stdout.trim();
    publicKeyFromDid(did); // or it throws
    expect(statSync(join(folder, 'key')).mode & 0o777).toBe(0o600);
    expect((await sample(folder)).stdout.trim()).toBe(did);

    const publish = (wh: number, over: { port?: string; origin?: string } = {}) =>
      sample(folder, hostname, over.port ?? port, over.origin ?? gateway.info.origin, SUB, String(wh));
    // Not enrolled: the login is refused, and the reading is kept. The same for a gateway that is not there.
    expect(await publish(1000)).toMatchObject({ code: 1, stderr: expect.stringContaining('refuses the login') });
    expect(await publish(1000, { port: '1' })).toMatchObject({ code: 1, stderr: expect.stringContaining('kept') });
    expect((await enrol(gateway, did)).status).toBe(201);
    expect((await publish(1000, { origin: 'somebody.else/edge' })).code).toBe(1);
    const kept = readFileSync(join(folder, 'unacknowledged'));
    for (const [wh, epoch] of [
      [1500, 2],
      [70_000, 3],
    ]) {
      const ended = await publish(wh as number);
      expect(ended.stderr).toBe('');
      expect(ended).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(`acknowledged: ${wh} Wh, counter ${epoch}/0,`),
      });
    }
    const { body } = await gateway.api(`/entries?device=${did}`);
    const { entries } = body as { entries: { epoch: number; records: object[]; envelope: string }[] };
    expect(entries.map(({ epoch, records }) => [epoch, records])).toEqual(
      [1000, 1500, 70_000].map((v, i) => [i + 1, [{ n: '1-0:1.8.0', u: 'Wh', v }]]),
    );
    expect(Buffer.from(entries[0]?.envelope as string, 'base64').equals(kept), 'the very bytes that were kept').toBe(
      true,
    );
    expect((await sample(folder, 'x')).code).toBe(2);
    await gateway.finish();
  });
});
