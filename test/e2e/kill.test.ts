/**
 * The promise under a power cut: the gateway is killed with SIGKILL again and again under load, at random moments and
 * where a write is on disk or is not, and nothing that it acknowledged may be missing, twice, or different. The same
 * with 200 kills and more is `npm run torture`.
 */
import { expect, it } from 'vitest';
import { sequence } from '../../firmware-sim/random.ts';
import { killAt, killAtRandom, killFirstStart } from '../torture/kills.ts';
import { Site } from '../torture/site.ts';

const KILLS = 20;
const SEED = 20_201_124;
/** Of the very first start: the gateway's own enrolment is on disk, the first checkpoint is not. */
const FIRST = ['device.after=kill@1', 'checkpoint.before=kill@1'];
const UNDER_LOAD = ['append.before=kill@20', 'append.after=kill@20', 'anchor.sent=kill@1'];

it(`survives SIGKILL at ${KILLS} random moments and ${FIRST.length + UNDER_LOAD.length} fault points under load: all that was acknowledged is in the log, once`, {
  timeout: 280_000,
}, async () => {
  const random = sequence(SEED);
  const site = await Site.build({ seed: 7, chain: 'rpc' });
  expect(await killFirstStart(site, FIRST)).toEqual([]);
  await site.up();
  await site.load();
  await site.grows(300);
  for (let kill = 0; kill < KILLS; kill++) await killAtRandom(site, random);
  await site.gateway?.stop('SIGKILL');
  for (const fault of UNDER_LOAD) expect(await killAt(site, fault), fault).toBe(true);
  await site.up();
  await site.grows(20);

  const { entries, checkpoints, anchors } = await site.finish();
  const { lost, twice, back, forks, acked, enrolled } = site;
  expect({ lost, twice, back, forks }).toEqual({ lost: 0, twice: 0, back: 0, forks: 0 });
  expect(acked).toBeGreaterThan(500);
  expect(entries).toBeGreaterThanOrEqual(acked);
  expect(enrolled.length).toBeGreaterThan(1);
  expect(checkpoints).toBeGreaterThan(1);
  expect(anchors).toBeGreaterThan(1);
});
