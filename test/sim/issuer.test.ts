import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { openCityBundle, statusOf } from '../../edge/wire/vc/city-bundle.ts';
import { asVehicleCredential, verifyCredential } from '../../edge/wire/vc/credential.ts';
import { issuer as run } from '../../firmware-sim/city/command.ts';
import { CityOffice } from '../../firmware-sim/city/office.ts';
import { signerOf } from '../support/city.ts';
import { temporaryFolder } from './harness.ts';

const MAIN = new URL('../../firmware-sim/main.ts', import.meta.url).pathname;
type Answer = { code: number; stdout: string; stderr: string };
async function issuer(city: string, ...args: string[]): Promise<Answer> {
  return promisify(execFile)(process.execPath, [MAIN, 'issuer', ...args, '--city', city]).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Answer) => error,
  );
}
const json = async (answer: Promise<Answer>) => {
  const { code, stdout, stderr } = await answer;
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
};
const vehicle = signerOf('vehicle').did;
const gateway = signerOf('gateway').did;
const wish = { did: vehicle, zones: ['north'], purposes: ['passage'] };

describe('a simulated city', () => {
  it('gives every credential an index of its own, drawn at random, also after it was closed', () => {
    const folder = temporaryFolder();
    CityOffice.open(folder, {});
    const indexes = Array.from({ length: 60 }, () => {
      const { credentialStatus } = CityOffice.open(folder).issue(wish);
      expect(credentialStatus.map((entry) => entry.statusPurpose)).toEqual(['revocation', 'suspension']);
      return credentialStatus[0]?.statusListIndex;
    });
    expect(new Set(indexes).size).toBe(60);
    const rising = indexes.filter((index, i) => i > 0 && Number(index) > Number(indexes[i - 1])).length;
    expect(rising).toBeGreaterThan(10);
    expect(rising).toBeLessThan(50);
  });

  it('publishes bundles that rise, and in which what was revoked is revoked', () => {
    const office = CityOffice.open(temporaryFolder(), { keyType: 'P-256' });
    office.vouchFor(gateway, 'test.example/log', ['north']);
    const [good, revoked, suspended] = [office.issue(wish), office.issue(wish), office.issue(wish)];
    const { cityDid } = office;
    const first = openCityBundle(office.publish(), { cityDid });
    office.setStatus(revoked.id, 'revocation', true);
    office.setStatus(suspended.id, 'suspension', true);
    const second = openCityBundle(office.publish(), {
      cityDid,
      held: { version: first.bundle.version, digest: first.digest },
    });
    const states = (opened: typeof first) => [good, revoked, suspended].map((one) => statusOf(one, opened).state);
    expect(states(first)).toEqual(['valid', 'valid', 'valid']);
    expect(states(second)).toEqual(['valid', 'revoked', 'suspended']);
    office.setStatus(suspended.id, 'suspension', false);
    expect(states(openCityBundle(office.publish(), { cityDid }))).toEqual(['valid', 'revoked', 'valid']);
    expect(() => office.setStatus(revoked.id, 'revocation', false)).toThrow('for good');
    expect(second.bundle.gateways[0]?.credentialSubject).toEqual({
      id: gateway,
      origin: 'test.example/log',
      zones: ['north'],
    });
    verifyCredential(good);
  });

  it('never makes a new key in place of one that it cannot read', () => {
    const folder = temporaryFolder();
    CityOffice.open(folder, {});
    writeFileSync(join(folder, 'city.key'), '{}');
    expect(() => CityOffice.open(folder, {})).toThrow('is not a key file');
    expect(readFileSync(join(folder, 'city.key'), 'utf8')).toBe('{}');
  });
});

describe('sejong-sim issuer', () => {
  it('makes a city, vouches, issues, revokes and publishes; keys are for their owner only', async () => {
    const city = temporaryFolder();
    const { city: cityDid, version } = await json(issuer(city, 'init'));
    expect(version).toBe(0);
    for (const file of ['city.key', 'issuer.key', 'books.json'])
      expect(statSync(join(city, file)).mode & 0o777, file).toBe(0o600);
    await json(issuer(city, 'zone', '--zone', 'north:passage,charging'));
    await json(issuer(city, 'policy', '--fresh', '60', '--staleness', '600'));
    await json(issuer(city, 'gateway', '--did', gateway, '--origin', 'test.example/log', '--zones', 'north'));
    const credential = asVehicleCredential(
      await json(issuer(city, 'vehicle', '--did', vehicle, '--zones', 'north')),
      'it',
    );
    verifyCredential(credential);
    await json(issuer(city, 'revoke', '--credential', credential.id));
    const published = await json(issuer(city, 'publish'));
    expect(published).toMatchObject({ file: join(city, 'bundle.json'), version: 1 });
    const opened = openCityBundle(readFileSync(published.file), { cityDid });
    expect(opened.bundle.policy).toMatchObject({
      freshSeconds: 60,
      maxStalenessSeconds: 600,
      zones: { north: { purposes: ['passage', 'charging'] } },
    });
    expect(statusOf(credential, opened).state).toBe('revoked');
    expect(await json(issuer(city, 'init'))).toMatchObject({ city: cityDid, version: 1, issued: 1, revoked: 1 });
  });

  it('says in one line what is wrong', async () => {
    const city = temporaryFolder();
    expect(await issuer(city, 'show')).toMatchObject({ code: 1, stderr: expect.stringContaining('issuer init') });
    await json(issuer(city, 'init'));
    for (const [args, said] of [
      [['dance'], 'issuer does one of init'],
      [['vehicle', '--zones', 'north'], '--did is needed'],
      [['vehicle', '--did', 'did:key:zx', '--zones', 'north'], '--did: '],
      [['vehicle', '--did', vehicle, '--zones', 'south'], 'there is no zone south'],
      [['policy', '--challenge', '11'], '--challenge is a whole number of 1 to 10'],
      [['publish', '--as-of', 'noon'], '--as-of is not a time'],
      [['init', '--colour', 'red'], "Unknown option '--colour'"],
    ] as const)
      await expect(
        run([...args, '--city', city], () => {}),
        args.join(' '),
      ).rejects.toThrow(said);
    expect(await issuer(city, 'dance')).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^.*\n$/) });
  });
});
