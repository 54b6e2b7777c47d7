/**
 * Random histories through the follower that makes certificates: readings come in any order, a few at a time, while hours
 * are minted. Whatever it looks at again, and whatever it leaves out, what it has then fits together.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { commitment } from '../../edge/chain/commitment.ts';
import { Certifier } from '../../edge/credits/certifier.ts';
import type { Fixed } from '../../edge/credits/types.ts';
import { type CertificateRow, CreditRows } from '../../edge/store/credits.ts';
import { Successions } from '../../edge/store/successions.ts';
import { HOUR } from '../../edge/wire/boundary.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { CAPACITY_W, type History, historyArb } from './histories.ts';

const PLANTS = 10;
const ROUNDS = 60;

/** A plant with its history, and what a chain would hold of it. */
class Plant extends TestDevice {
  readonly history: History;
  readonly fixed = new Map<number, Fixed>();
  readonly taken = new Set<number>();

  constructor(number: number, history: History) {
    super(`random-${number}`, 'plant');
    this.history = history;
  }

  get modulusWh(): number | null {
    return this.history.plant.meters[0]?.modulusWh ?? null;
  }

  mint(row: CertificateRow): void {
    expect(this.taken.has(row.slot), 'no hour twice').toBe(false);
    for (const [at, registerWh] of [
      [row.slot, row.startWh],
      [row.slot + HOUR, row.endWh],
    ] as const) {
      expect(this.fixed.get(at)?.registerWh ?? registerWh, 'the boundary is fixed').toBe(registerWh);
      this.fixed.set(at, { at, registerWh, device: this.did });
    }
    this.taken.add(row.slot);
  }
}

it('random histories, told in any order while hours are minted, give hours that fit together and no more than the registers show', async () => {
  const alone = fc
    .boolean()
    .chain(historyArb)
    .filter((h) => h.plant.meters.length === 1);
  const told = fc.sample(
    alone.chain((history) =>
      fc.record({
        history: fc.constant(history),
        arrival: fc.shuffledSubarray(history.readings, { minLength: history.readings.length }),
        isLate: fc.boolean(),
        mints: fc.array(fc.nat(9), { minLength: ROUNDS * 40, maxLength: ROUNDS * 40 }),
      }),
    ),
    { seed: 31, numRuns: PLANTS },
  );
  const gateway = await startTestGateway({ clock: { source: 'synced' } });
  const { store, log, entries, devices, accept, now } = gateway.parts;
  const rows = new CreditRows(store);
  const plants = told.map(({ history }, i) => new Plant(i, history));
  // Late is any order; else hour by hour, and only within an hour any.
  const arrivals = told.map(({ arrival, isLate }) => (isLate ? arrival : arrival.toSorted((a, b) => a.at - b.at)));
  for (const { did, sub, modulusWh } of plants) {
    const enrolled = { did, sub, kind: 'plant', custody: 'device', energySource: 'solar' } as const;
    await devices.enrol({ ...enrolled, capacityW: CAPACITY_W, registerModulusWh: modulusWh }, Date.now());
  }
  const certifier = new Certifier({
    ...{ store, log, rows, entries, devices, now },
    successions: new Successions(store),
    place: { lat: 36.48, lon: 127.29 },
    pointId: commitment,
    chainWord: (point, from, to) => {
      const { fixed, taken } = plants.find((p) => p.sub === point) as Plant;
      return {
        fixed: [...fixed.values()].filter(({ at }) => at >= from && at <= to),
        taken: new Set([...taken].filter((slot) => slot >= from && slot < to)),
        versions: new Map(),
        chargedWh: 0,
      };
    },
    onChanged: () => undefined,
    report: (line) => expect.fail(line),
  });
  certifier.start();
  let minted = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, plant] of plants.entries()) {
      const arrival = arrivals[i] as (typeof arrivals)[number];
      const size = Math.ceil(arrival.length / ROUNDS);
      const offers = arrival.slice(round * size, (round + 1) * size).map(({ iat, registerWh }) =>
        accept.offer(plant.envelope({ iat, records: [{ n: '1-0:2.8.0', u: 'Wh', v: registerWh }] }), {
          did: plant.did,
          topic: `up/${plant.did}/cose`,
        }),
      );
      await Promise.all(offers);
    }
    certifier.wake();
    await until(() => certifier.isIdle && certifier.next === log.size, 'all entries were read');
    for (const [i, plant] of plants.entries()) {
      const made = rows.certificatesOf(plant.sub, 0, Number.MAX_SAFE_INTEGER);
      const ready = made.filter((c) => c.state === 'ready');
      for (const [k, c] of ready.entries()) {
        const before = ready[k - 1];
        if (before && before.slot + HOUR === c.slot)
          expect(c.startWh, 'one register for both sides').toBe(before.endWh);
      }
      const residuals = rows.residualsOf(plant.sub, 0, Number.MAX_SAFE_INTEGER).filter((r) => r.state === 'ready');
      for (const r of residuals)
        expect(
          ready.some((c) => c.slot >= r.fromAt && c.slot < r.untilAt),
          'an hour of a gap',
        ).toBe(false);
      if (plant.modulusWh === null) {
        const shown = plant.history.readings.map((r) => r.registerWh);
        const total = [...ready, ...residuals].reduce((sum, { wh }) => sum + wh, 0);
        expect(total).toBeLessThanOrEqual(Math.max(...shown) - Math.min(...shown));
      }
      for (const slot of plant.taken)
        expect(
          ready.some((c) => c.slot === slot),
          'what is minted has its row',
        ).toBe(true);
      const { mints } = told[i] as (typeof told)[number];
      for (const [k, c] of ready.entries())
        if (!plant.taken.has(c.slot) && (mints[round * 40 + k] as number) < 1) {
          plant.mint(c);
          minted++;
        }
    }
  }
  await certifier.stop();
  expect(minted).toBeGreaterThan(PLANTS * 5);
  await gateway.finish();
});
