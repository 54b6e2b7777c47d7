import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { verifyEnvelope } from '../../edge/wire/verify.ts';
import { check, play } from '../../firmware-sim/check/command.ts';
import { driveEnvelope } from '../../firmware-sim/check/drive.ts';
import { RogueGate } from '../../firmware-sim/check/rogue.ts';
import { CHECK_SCENARIOS, type CheckWorld } from '../../firmware-sim/check/scenarios.ts';
import { newPseudonym, visit } from '../../firmware-sim/check/vehicle.ts';
import { CityOffice } from '../../firmware-sim/city/office.ts';
import { metres } from '../../firmware-sim/worlds/vehicle.ts';
import { signerOf } from '../support/city.ts';
import { temporaryFolder } from './harness.ts';

const ORIGIN = 'test.example/log';
const TO = { latitude: 36.5, longitude: 127.26 };
const NOW = Date.parse('2026-06-21T03:00:00Z');

describe('what a vehicle measured before a gate', () => {
  const tracked = (fixFactor: number) => {
    const vehicle = signerOf('vehicle', 'P-256');
    const envelope = decodeEnvelope(driveEnvelope({ to: TO, speedKmh: 36, fixFactor }, vehicle, NOW, 1));
    verifyEnvelope(envelope);
    expect(envelope.iss).toBe(vehicle.did);
    const of = (name: string) => envelope.records.filter(({ n }) => n === name);
    const [latitude, longitude] = [of('Vehicle.CurrentLocation.Latitude'), of('Vehicle.CurrentLocation.Longitude')];
    const fixes = latitude.map(({ v, t }, i) => ({ t, place: [v, longitude[i]?.v] as [number, number] }));
    const [first, last] = [fixes[0], fixes.at(-1)] as [(typeof fixes)[0], (typeof fixes)[0]];
    return { last, moved: metres(first.place, last.place), seconds: (last.t as number) - (first.t as number) };
  };
  it('is a track as long as the wheels say, that ends at the gate, now', () => {
    const { last, moved, seconds } = tracked(1);
    expect([last.t, seconds]).toEqual([NOW / 1000, 10]);
    expect(metres(last.place, [TO.latitude, TO.longitude])).toBeLessThan(10);
    expect(Math.abs(moved - 100)).toBeLessThan(2);
  });
  it('is a longer one where the receiver is deceived', () => {
    expect(Math.abs(tracked(20).moved - 2000)).toBeLessThan(20);
  });
});

describe('a fake gateway', () => {
  it.each(['fake-gateway', 'stolen-gateway'])('%s: hears the hello of a pseudonym, and nothing else', async (name) => {
    const city = CityOffice.open(join(temporaryFolder(), 'city'), {});
    city.vouchFor(signerOf('gateway').did, ORIGIN, ['north']);
    const world = { url: '', origin: ORIGIN, gate: 'gate-3', purpose: 'passage', zone: 'north', place: TO, city };
    const line = await play(name, { ...world, stranger: city, deliver: async () => undefined } satisfies CheckWorld);
    expect(line).toMatchObject({ decision: 'NONE', reason: 'FAKE_GATEWAY', ok: true });
  });

  it('would hear the presentation, were its city the one that the vehicle has pinned', async () => {
    // The same rogue with its own key pinned: proof that the silence above is the vehicle's doing.
    const rogue = await RogueGate.start(ORIGIN, 'north');
    onTestFinished(() => rogue.stop());
    const city = CityOffice.open(join(temporaryFolder(), 'city'), {});
    const who = newPseudonym((did) => city.issue({ did, zones: ['north'], purposes: ['passage'] }));
    const gate = { url: rogue.url, origin: ORIGIN, gate: 'gate-3', purpose: 'passage' };
    const outcome = await visit(gate, rogue.did, who, { to: TO, speedKmh: 30 }, async (v) => {
      const presented = v.present(await v.challenge());
      // It would never be answered.
      await v.send(presented);
      throw new Error('presented');
    }).catch((error: Error) => error.message);
    expect(outcome).toBe('presented');
    expect(rogue.logins).toEqual([who.did]);
    expect(rogue.heard.map(({ topic }) => topic)).toEqual([`check/${who.did}/hello`, `check/${who.did}/presentation`]);
  });
});

describe('sejong-sim check', () => {
  const run = (argv: string[], env: NodeJS.ProcessEnv = {}) => {
    const said: string[] = [];
    const out = { say: (line: string) => void said.push(line), send: () => {} };
    return check(argv, env, out, new AbortController().signal).then((code) => ({ code, said: said.join('\n') }));
  };

  it('lists every scenario with what it must end in', async () => {
    const { code, said } = await run(['--help']);
    expect(code).toBe(0);
    for (const [name, { expects }] of Object.entries(CHECK_SCENARIOS))
      expect(said).toMatch(new RegExp(`^ {2}${name} +${expects.decision} ${expects.reason} `, 'm'));
  });

  it('says what is wrong with its command line', async () => {
    const city = temporaryFolder();
    CityOffice.open(city, {});
    const gate = ['--city', city, '--origin', ORIGIN, '--gate', 'gate-3', '--zone', 'north'];
    for (const [argv, said] of [
      [['chaos'], 'no scenario "chaos"'],
      [[...gate.slice(0, 4)], '--gate is needed'],
      [gate, '--api or --bundle is needed'],
      [[...gate, '--api', 'http://127.0.0.1:1'], 'SEJONG_TOKEN is not set'],
      [[...gate, '--bundle', join(city, 'b'), '--at', 'here'], '--at is not a place'],
      [[...gate, '--bundle', join(city, 'b'), '--vouch', 'me'], '--vouch: '],
      [[...gate, '--every', '0'], '--every is a number of seconds above 0'],
      [['--city', temporaryFolder()], 'there is no city in'],
    ] as const)
      await expect(run([...argv]), argv.join(' ')).rejects.toThrow(said);
  });
});
