import { expect, it } from 'vitest';
import { until } from '../support/temp.ts';
import { WallClock, YEAR_MS } from '../support/wall-clock.ts';
import { allAnchored, City, line, Meter, rows } from './rig.ts';

it('a wall clock set forward pays no higher fees, and one set back leaves no transaction stuck', async () => {
  const clock = new WallClock();
  const city = await City.build();
  const patient = await city.gateway({ stuckSeconds: 3600 });
  const meter = await Meter.at(patient);
  await allAnchored(patient);
  await city.chain.call('evm_setAutomine', false);
  await meter.send(2);
  await until(() => rows(patient).at(-1)?.status === 'sent', 'it is on its way');
  clock.offsetMs = YEAR_MS;
  const looked = await patient.parts.anchorer?.state.headSize;
  for (let polls = 0; polls < 5; polls++) {
    const { madeMs } = rows(patient).at(-1) as { madeMs: number };
    expect(madeMs).toBeLessThan(Date.now() - YEAR_MS / 2);
    await new Promise((resolve) => setTimeout(resolve, 110)); // FAST looks each 0.1 s
  }
  expect(patient.parts.anchorer?.state.headSize).toBe(looked);
  expect(rows(patient).at(-1)?.hashes).toHaveLength(1);
  await patient.close(0);

  // Taken up by the next run, with a clock that is a year behind what the row says.
  clock.offsetMs = -YEAR_MS;
  const quick = await city.gateway({ stuckSeconds: 0.3 });
  await until(() => (rows(quick).at(-1)?.hashes.length ?? 0) > 1, 'it is replaced');
  await line(quick, 'is stuck; replaced'); // said after the row says so
  await city.chain.call('evm_setAutomine', true);
  await city.chain.call('evm_mine');
  await allAnchored(quick);
  await city.finish(quick);
});
