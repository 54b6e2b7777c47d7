/** Every vehicle of the simulator at the gate of a real gateway, over real MQTT, with no chain and no uplink. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REASONS } from '../../edge/wire/vc/check.ts';
import { play } from '../../firmware-sim/check/command.ts';
import { deliverByApi, deliverByFile } from '../../firmware-sim/check/deliver.ts';
import { CHECK_SCENARIOS, type CheckWorld } from '../../firmware-sim/check/scenarios.ts';
import { CityOffice } from '../../firmware-sim/city/office.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

const PLACE = { latitude: 36.4803, longitude: 127.2538 };
const GATE = { name: 'gate-3', zone: 'north', purposes: ['passage'], lat: 36.4803, lon: 127.2538, radiusM: 150 };

/** A gateway, a city that vouches for it, and the gate that they share. */
async function startGate(more: { bundleFile?: string } = {}): Promise<{ gateway: TestGateway; world: CheckWorld }> {
  const folder = tempFolder();
  const city = CityOffice.open(join(folder, 'city'), { policy: { zones: { north: { purposes: ['passage'] } } } });
  const stranger = CityOffice.open(join(folder, 'stranger'), { name: 'Another city' });
  const gateway = await startTestGateway({
    clock: { source: 'synced' },
    checks: { cityDid: city.cityDid, gates: [GATE], ...more },
  });
  const { origin, did, mqtt: url, http } = gateway.info;
  city.vouchFor(did, origin, ['north']);
  const gate = { url, origin, gate: GATE.name, purpose: 'passage' };
  const deliver = more.bundleFile
    ? deliverByFile(more.bundleFile, gate)
    : deliverByApi(http, await gateway.token('operator'));
  const world = { ...gate, zone: GATE.zone, place: PLACE, city, stranger, deliver };
  expect(await deliver(city.publish())).toBe(undefined);
  return { gateway, world };
}

describe('vehicles at a gate', () => {
  it('every scenario ends in exactly its decision and its reason', { timeout: 120_000 }, async () => {
    const { gateway, world } = await startGate();
    const ended: Record<string, string> = {};
    for (const name of Object.keys(CHECK_SCENARIOS)) {
      const { decision, reason } = await play(name, world);
      ended[name] = `${decision} ${reason}`;
    }
    expect(ended).toEqual(
      Object.fromEntries(
        Object.entries(CHECK_SCENARIOS).map(([name, { expects }]) => [name, `${expects.decision} ${expects.reason}`]),
      ),
    );
    // The same from the gateway's side: each decision is kept, and is an entry of the log.
    const { counts } = (await gateway.api('/checks?limit=1')).body as {
      counts: { decision: keyof typeof REASONS; reason: keyof typeof REASONS; n: number }[];
    };
    for (const { decision, reason } of counts) expect(REASONS[reason]).toBe(decision);
    const reasons = new Map(counts.map(({ reason, n }) => [reason, n]));
    for (const { expects } of Object.values(CHECK_SCENARIOS))
      if (expects.reason !== 'FAKE_GATEWAY') expect(reasons.get(expects.reason), expects.reason).toBeGreaterThan(0);
    expect(reasons.get('REVOKED')).toBe(2); // revoked, and the one that a rolled back bundle would have let in
    const decisions = counts.reduce((sum, { n }) => sum + n, 0);
    // And so is each bundle that an operator brought.
    const { audit } = (await gateway.api('/audit?limit=1000')).body as { audit: object[] };
    const { entries } = await gateway.finish();
    expect(entries).toBe(1 + decisions + audit.length);
  });

  it('the same for P-256 keys, and for bundles that are dropped as a file', { timeout: 60_000 }, async () => {
    const { gateway, world } = await startGate({ bundleFile: join(tempFolder(), 'bundle.json') });
    world.keyType = 'P-256';
    for (const name of ['pass', 'revoked', 'cloned-key', 'rolled-back-bundle', 'fake-gateway'])
      expect(await play(name, world)).toMatchObject({ ok: true, scenario: name });
    await gateway.finish();
  });
});
