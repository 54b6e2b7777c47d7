/** From envelopes to rows, with a real gateway: what hours it finds in its log, and that a restart finds the same. */
import { describe, expect, it } from 'vitest';
import { commitment } from '../../edge/chain/commitment.ts';
import { Certifier, type ChainWord } from '../../edge/credits/certifier.ts';
import { CreditRows } from '../../edge/store/credits.ts';
import { Successions } from '../../edge/store/successions.ts';
import { HOUR } from '../../edge/wire/boundary.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

const START = Date.UTC(2026, 10, 20, 3) / 1000;
const nothing = (): ChainWord => ({ fixed: [], taken: new Set(), versions: new Map(), chargedWh: 0 });

class Plant extends TestDevice {
  readonly gateway: TestGateway;

  private constructor(name: string, gateway: TestGateway) {
    super(name, 'plant');
    this.gateway = gateway;
  }

  static async at(gateway: TestGateway, name = 'roof', capacityW = 10_000, of?: string): Promise<Plant> {
    const plant = new Plant(name, gateway);
    if (of !== undefined) Object.assign(plant, { sub: of });
    const { did, sub, kind } = plant;
    const enrolled = { did, sub, kind, custody: 'device', capacityW, energySource: 'solar' } as const;
    await gateway.parts.devices.enrol(enrolled, Date.now());
    return plant;
  }

  /** Readings of the register, hours after START, seconds off the hour. */
  async read(...readings: [hour: number, wh: number, off?: number][]): Promise<void> {
    const { accept } = this.gateway.parts;
    for (const [hour, wh, off = 0] of readings)
      await accept.offer(
        this.envelope({ iat: START + hour * HOUR + off, records: [{ n: '1-0:2.8.0', u: 'Wh', v: wh }] }),
        { did: this.did, topic: `up/${this.did}/cose` },
      );
  }
}

/** A certifier beside the gateway, which makes none itself: there is no chain. */
async function certify(
  gateway: TestGateway,
  word: () => ChainWord = nothing,
  now = gateway.parts.now,
): Promise<CreditRows & { again: (reconsidered?: string) => Promise<void> }> {
  const { store, log, entries, devices } = gateway.parts;
  const rows = new CreditRows(store);
  const run = async (reconsidered?: string): Promise<void> => {
    const certifier = new Certifier({
      ...{ store, log, rows, entries, devices, now },
      successions: new Successions(store),
      place: { lat: 36.48, lon: 127.29 },
      pointId: commitment,
      chainWord: word,
      onChanged: () => undefined,
      report: (line) => expect.fail(line),
    });
    certifier.start();
    if (reconsidered !== undefined) certifier.reconsider(reconsidered);
    await until(() => certifier.isIdle && certifier.next === log.size, 'all entries were read');
    await certifier.stop();
  };
  await run();
  return Object.assign(rows, { again: run });
}

const hours = (rows: CreditRows, point: string) =>
  rows
    .certificatesOf(point, 0, Number.MAX_SAFE_INTEGER)
    .map(({ slot, wh, state }) => [(slot - START) / HOUR, wh, state] as const);

describe('the follower that makes certificates', () => {
  it('makes one of each hour with a reading at both ends, once, whatever restarts', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway);
    await plant.read([0, 1000], [1, 1500, 12], [2, 1500, -7], [3, 4000, 59]);
    const rows = await certify(gateway);
    expect(hours(rows, plant.sub)).toEqual([
      [0, 500, 'ready'],
      [2, 2500, 'ready'],
    ]);
    const before = rows.certificatesOf(plant.sub, 0, Number.MAX_SAFE_INTEGER);
    await rows.again();
    expect(rows.certificatesOf(plant.sub, 0, Number.MAX_SAFE_INTEGER)).toEqual(before);
    expect(before[0]).toMatchObject({ startWh: 1000, endWh: 1500, pointId: commitment(plant.sub), version: 0 });
    await gateway.finish();
  });

  it('leaves an hour that is on its way to the chain, or just there, as it stands', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway);
    await plant.read([0, 1000], [1, 1500], [2, 2100]);
    const taken = new Set<number>();
    const rows = await certify(gateway, () => ({ ...nothing(), taken }));
    expect(hours(rows, plant.sub)).toEqual([
      [0, 500, 'ready'],
      [1, 600, 'ready'],
    ]);
    // The rows themselves don't say so yet.
    taken.add(START);
    await plant.read([1, 1510, 30], [3, 2500]);
    await rows.again();
    expect(hours(rows, plant.sub)).toEqual([
      [0, 500, 'ready'],
      [1, 600, 'ready'],
      [2, 400, 'ready'],
    ]);
    await gateway.finish();
  });

  it('keeps the reading that a certificate stands on when one comes that is nearer', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway);
    await plant.read([0, 1000], [1, 1500, 40]);
    const rows = await certify(gateway);
    await plant.read([1, 1490, 2], [2, 2000]);
    await rows.again();
    expect(hours(rows, plant.sub)).toEqual([
      [0, 500, 'ready'],
      [1, 500, 'ready'],
    ]);
    await gateway.finish();
  });

  it('calls the energy of a gap a residual, and makes hours of it when late readings come', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway);
    await plant.read([0, 1000], [3, 4000]);
    const rows = await certify(gateway);
    expect(hours(rows, plant.sub)).toEqual([]);
    expect(rows.residuals(plant.sub, 10)).toMatchObject([{ fromAt: START, untilAt: START + 3 * HOUR, wh: 3000 }]);
    await plant.read([1, 2000], [2, 2500]);
    await rows.again();
    expect(hours(rows, plant.sub)).toEqual([
      [0, 1000, 'ready'],
      [1, 500, 'ready'],
      [2, 1500, 'ready'],
    ]);
    expect(rows.residuals(plant.sub, 10)).toEqual([]);
    await gateway.finish();
  });

  it('says of an hour over the rated power that it is refused, and why', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway, 'liar', 1000);
    await plant.read([0, 1000], [1, 1500], [2, 9000]);
    const rows = await certify(gateway);
    expect(hours(rows, plant.sub)).toEqual([
      [0, 500, 'ready'],
      [1, 7500, 'refused'],
    ]);
    expect(rows.list({ state: 'refused', limit: 10 })).toMatchObject([{ code: 'CREDIT_OVER_CAPACITY' }]);
    await gateway.finish();
  });

  it('a swap that is said days later makes hours of all that the new meter signed until then', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const old = await Plant.at(gateway);
    await old.read([0, 1000], [1, 1500]);
    const heir = await Plant.at(gateway, 'roof-2', 10_000, old.sub);
    await heir.read([2, 10], [3, 400], [4, 900]);
    const rows = await certify(gateway);
    expect(hours(rows, old.sub)).toEqual([
      [0, 500, 'ready'],
      [2, 390, 'refused'],
      [3, 500, 'refused'],
    ]);
    expect(rows.list({ state: 'refused', limit: 10 })[0]).toMatchObject({ code: 'CREDIT_EPOCH_UNKNOWN' });
    const register = (wh: number) => ({ obis: '1-0:2.8.0', wh });
    const body = { by: heir.did, finalRegister: register(1600), initialRegister: register(0) };
    expect((await gateway.api(`/devices/${old.did}/replace`, { method: 'POST', body })).status).toBe(200);
    await rows.again();
    expect(hours(rows, old.sub)).toEqual([
      [0, 500, 'ready'],
      [2, 390, 'ready'],
      [3, 500, 'ready'],
    ]);
    expect(rows.residuals(old.sub, 10)).toMatchObject([{ wh: 110, reason: 'swap', month: null }]);
    await gateway.finish();
  });

  it('hours of a meter that is suspended wait, and are there again when it is resumed; of one that is revoked they are refused', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway);
    await plant.read([0, 1000], [1, 1500], [2, 1700], [5, 2000]);
    const { devices } = gateway.parts;
    const rows = await certify(gateway);
    const whole = hours(rows, plant.sub);
    expect(whole).toHaveLength(2);
    await devices.setStatus(plant.did, 'suspended', Date.now());
    await rows.again(plant.sub);
    expect([hours(rows, plant.sub), rows.residuals(plant.sub, 10)]).toEqual([[], []]);
    await devices.setStatus(plant.did, 'active', Date.now());
    await rows.again(plant.sub);
    expect(hours(rows, plant.sub)).toEqual(whole);
    expect(rows.residuals(plant.sub, 10)).toHaveLength(1);
    await devices.setStatus(plant.did, 'revoked', Date.now());
    await rows.again(plant.sub);
    expect(rows.list({ limit: 10 }).map((c) => c.code)).toEqual(['CREDIT_METER_REVOKED', 'CREDIT_METER_REVOKED']);
    await gateway.finish();
  });

  it('what an hour beside it stands on holds for the next one, whenever each of them came', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway);
    await plant.read([1, 1000, -40], [2, 1500, 40]);
    const rows = await certify(gateway);
    // Nearer ones, when the certificate is made; and then its neighbours, one by one.
    const near = [5, 4, 3, 2].map((off) => [2, 1490, off] as const);
    for (const reading of [
      ...near,
      [1, 1010, -2] as const,
      [3, 2000] as const,
      [2, 1490, 1] as const,
      [0, 800] as const,
    ]) {
      await plant.read([...reading]);
      await rows.again();
    }
    expect(hours(rows, plant.sub)).toEqual([
      [0, 200, 'ready'],
      [1, 500, 'ready'],
      [2, 500, 'ready'],
    ]);
    await gateway.finish();
  });

  it('the ends of a gap that waits for its month stay as they are when a reading comes that is nearer', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const plant = await Plant.at(gateway);
    await plant.read([0, 1000], [3, 4000, 50]);
    const rows = await certify(gateway);
    await plant.read([3, 3950, 1], [4, 5000]);
    await rows.again();
    expect(rows.residuals(plant.sub, 10)).toMatchObject([{ wh: 3000, endWh: 4000 }]);
    expect(hours(rows, plant.sub)).toEqual([[3, 1000, 'ready']]);
    await gateway.finish();
  });

  it('waits for the clock, and goes on when it is known', async () => {
    const gateway = await startTestGateway({ clock: { source: 'unsynced' } });
    const plant = await Plant.at(gateway);
    await plant.read([0, 1000], [1, 1500]);
    const rows = await certify(gateway);
    expect(hours(rows, plant.sub)).toEqual([]);
    const after = await certify(gateway, nothing, () => ({ ...gateway.parts.now(), clockSynced: true }));
    expect(hours(after, plant.sub)).toEqual([[0, 500, 'ready']]);
    await gateway.finish();
  });
});
