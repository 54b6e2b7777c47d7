/** Inverter twins on serial lines. They have no MQTT side: the gateway reads them over the bus. */
import { join, resolve } from 'node:path';
import type { SimClock } from './clock.ts';
import { makeFolder } from './durable.ts';
import { seedOf } from './random.ts';
import { plantPowerW } from './worlds/plant.ts';

export type Inverters = { paths: readonly string[]; stop: () => Promise<void> };

const CAPACITY_W = 20_000;
/** Each is alone on its line. */
const UNIT_ID = 1;

export async function startInverters(options: {
  n: number;
  dir: string;
  state: string;
  seed: number;
  clock: SimClock;
}): Promise<Inverters> {
  const { n, dir, state, seed, clock } = options;
  if (n === 0) return { paths: [], stop: async () => {} };
  // Only here, so that a machine without a compiler for koffi or without /dev/ptmx runs everything else.
  const { startInverterTwin } = await import('./serial/twin.ts');
  makeFolder(resolve(dir));
  const twins: { stop: () => Promise<void> }[] = [];
  const paths: string[] = [];
  for (let i = 1; i <= n; i++) {
    const own = seedOf('inverter', seed, i);
    const link = join(resolve(dir), `inverter-${i}`);
    twins.push(
      await startInverterTwin({
        link,
        unitId: UNIT_ID,
        seed: own,
        now: () => clock.now(),
        powerW: plantPowerW(seed, own, CAPACITY_W),
        eeprom: join(resolve(state), `inverter-${i}.eeprom`),
      }),
    );
    paths.push(link);
  }
  return {
    paths,
    stop: async () => {
      await Promise.all(twins.map((twin) => twin.stop()));
    },
  };
}
