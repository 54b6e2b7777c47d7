/** A new kind is a file: no code knows the kinds that are tried here. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inbox } from '../intake/mqtt-rig.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

const count = (n: string, v: number, u = 'count') => ({ n, u, v });

const enrolOverApi = async (gateway: TestGateway, device: TestDevice): Promise<void> => {
  const { did, sub, kind } = device;
  const answer = await gateway.api('/devices', { method: 'POST', body: { did, sub, kind, custody: 'device' } });
  expect(answer.status, answer.text).toBe(201);
};

it('a ballot counter and a donation kiosk are enrolled, sign their counts in public, and are held to their ranges', async () => {
  const gateway = await startTestGateway();
  const counter = new TestDevice('polling-place', 'ballot-counter');
  const kiosk = new TestDevice('kiosk', 'donation-kiosk');
  for (const device of [counter, kiosk]) await enrolOverApi(gateway, device);

  const ballots = (counted: number, valid: number, invalid: number) => [
    count('ballots.counted', counted),
    count('ballots.valid', valid),
    count('ballots.invalid', invalid),
    { n: 'seal.broken', vb: false },
  ];
  const client = await counter.connect(gateway);
  const next = inbox(client);
  await client.subscribeAsync(`down/${counter.did}/error`, { qos: 1 });
  await counter.publish(client, counter.envelope({ records: ballots(120, 118, 2) }));
  await kiosk.publish(
    await kiosk.connect(gateway),
    kiosk.envelope({ records: [count('donations.count', 7), count('donations.total', 350_000, 'KRW')] }),
  );
  const listed = (await gateway.api(`/entries?device=${counter.did}`)).body as {
    entries: { kind: string; sealed?: boolean; records: unknown }[];
  };
  expect(listed.entries).toHaveLength(1);
  expect(listed.entries[0]).toMatchObject({ kind: 'ballot-counter', records: ballots(120, 118, 2) });

  const refused: [string, object[]][] = [
    ['ballots.counted is -1 count, and its range is 0 to 1000000', ballots(-1, 0, 0)],
    [
      'ballots.counted is in kg, a ballot-counter tells it in count',
      [count('ballots.counted', 1, 'kg')].concat(ballots(1, 1, 0).slice(1) as never),
    ],
    ['there is no ballots.invalid, without which a ballot-counter tells nothing', ballots(1, 1, 0).slice(0, 2)],
    ['a ballot-counter does not tell voter', [...ballots(1, 1, 0), { n: 'voter', vs: 'Kim' }]],
    ['seal.broken of a ballot-counter is a boolean', [...ballots(1, 1, 0).slice(0, 3), { n: 'seal.broken', vs: 'no' }]],
  ];
  for (const [detail, records] of refused) {
    await counter.publish(client, counter.envelope({ records: records as never }));
    const said = JSON.parse((await next()).text) as { code: string; detail: string };
    expect(said).toMatchObject({ code: 'PROFILE_MISMATCH', detail: expect.stringContaining(detail) });
  }
  expect(JSON.stringify((await gateway.api('/quarantine')).body)).toContain('its range is 0 to 1000000');

  // The gateway must not hold the key of what counts votes.
  const held = { kind: 'ballot-counter', custody: 'gateway', sub: 'urn:sejong:poll:2' };
  const answer = await gateway.api('/devices', { method: 'POST', body: held });
  expect(answer.status).toBe(400);
  expect(answer.text).toContain('devices of kind ballot-counter have custody device, not gateway');
  await gateway.finish();
});

it('nothing in the code names them', () => {
  const sources = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      // Words of the console in two languages; a kind that has none there is shown by its own name.
      .filter((name) => name.endsWith('.ts') && name !== join('console', 'names.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8'));
  for (const kind of ['ballot-counter', 'donation-kiosk', 'ballots.', 'donations.'])
    expect([...sources('edge'), ...sources('firmware-sim')].filter((source) => source.includes(kind))).toEqual([]);
});

it('a kind from a folder of one’s own is sealed as its file says, shown by the API, and quarantined once its file is gone', async () => {
  const folder = tempFolder();
  const own = join(folder, 'profiles');
  mkdirSync(own);
  const file = 'title: A water meter\nprivacy: sealed\nvalues:\n  - { name: volume, unit: m3, range: [0, 1e6] }\n';
  writeFileSync(join(own, 'water-meter.yaml'), file);
  const values = { dataFolder: join(folder, 'data'), profiles: { folder: own } };
  const gateway = await startTestGateway(values);
  const meter = new TestDevice('water', 'water-meter');
  await enrolOverApi(gateway, meter);
  const client = await meter.connect(gateway);
  await meter.publish(client, meter.envelope({ records: [count('volume', 12, 'm3')] }));
  const shown = (await gateway.api('/profiles/water-meter')).body as object;
  expect(shown).toMatchObject({ kind: 'water-meter', privacy: 'sealed', driver: null, values: [{ range: [0, 1e6] }] });
  const all = (await gateway.api('/profiles')).body as { kinds: string[]; profiles: { name: string }[] };
  expect(all.kinds).toEqual(expect.arrayContaining(['meter', 'water-meter']));
  expect(all.profiles.map(({ name }) => name)).toContain('water-meter');
  const missing = await gateway.api('/profiles/water-metre');
  expect([missing.status, missing.text]).toEqual([404, expect.stringContaining('did you mean water-meter?')]);
  const truth = await gateway.finish();
  expect(truth).toBeDefined();

  const without = await startTestGateway({ dataFolder: values.dataFolder });
  expect(without.lines.join('\n')).toContain('devices are enrolled as water-meter, which no profile describes');
  const again = await meter.connect(without);
  const next = inbox(again);
  await again.subscribeAsync(`down/${meter.did}/error`, { qos: 1 });
  await meter.publish(again, meter.envelope({ records: [count('volume', 13, 'm3')] }));
  expect(JSON.parse((await next()).text)).toMatchObject({ code: 'PROFILE_MISMATCH' });
  await without.finish();
});

it('the command lists, shows and checks profiles, without a gateway', async () => {
  const listed = await edge(['profiles', 'list']);
  expect(listed.stdout).toMatch(/^ballot-counter +A machine that counts ballots/m);
  const shown = await edge(['profiles', 'show', 'meter']);
  expect(shown.stdout).toBe(readFileSync('edge/profiles/meter.yaml', 'utf8'));
  const folder = tempFolder();
  writeFileSync(join(folder, 'good.yaml'), shown.stdout.replace('A consumption meter', 'Another'));
  expect((await edge(['profiles', 'check', join(folder, 'good.yaml')])).stdout).toContain(
    'is valid: the kind good, 1 values',
  );
  expect((await edge(['profiles', 'list', '--folder', folder])).stdout).toMatch(/^good +Another/m);
  writeFileSync(join(folder, 'bad.yaml'), 'title: x\nprivcy: public\n');
  const bad = await edge(['profiles', 'check', join(folder, 'bad.yaml')]);
  expect(bad.code).toBe(2);
  expect(bad.stderr).toContain(
    `${join(folder, 'bad.yaml')}:2: privcy is not a key of a profile (did you mean privacy?)`,
  );
  expect((await edge(['profiles', 'show', 'metr'])).stderr).toContain('did you mean meter?');
});
