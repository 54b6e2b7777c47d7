/**
 * An inverter behind a revenue meter, held against it: two who measured the same hour. It never makes a certificate. What
 * they may differ by: 5 % (losses between them, and the accuracy of an inverter), and what the plant gives in the time
 * that their readings are apart.
 */
import { difference } from './register.ts';
import type { Boundary, Flag, InverterReading, Meter } from './types.ts';

const TOLERANCE = 0.05;

const byNearness = (a: Boundary, b: Boundary): number =>
  Math.abs(a.iat - a.at) - Math.abs(b.iat - b.at) || a.iat - b.iat || a.registerWh - b.registerWh;

/** Undefined where they agree, or nothing can be said: an end is missing, the scale changed, the register fell. */
export function inverterDeviation(
  { start, end, wh }: { start: Boundary; end: Boundary; wh: number },
  meter: Pick<Meter, 'capacityW'>,
  inverters: readonly InverterReading[],
): Flag | undefined {
  const near = (at: number, device: string) =>
    inverters.filter((b) => b.at === at && b.device === device).toSorted(byNearness)[0];
  let [inverterWh, apartSeconds] = [0, 0];
  const devices = [...new Set(inverters.map((b) => b.device))].sort();
  for (const device of devices) {
    const [first, last] = [near(start.at, device), near(end.at, device)];
    // What one of several gave is no measure for their sum; and a change of scale is never a difference.
    if (!first || !last || first.scale !== last.scale) return undefined;
    const given = difference(first.registerWh, last.registerWh, { capacityW: null, modulusWh: null }, 0);
    if (!given) return undefined;
    inverterWh += given.wh;
    apartSeconds = Math.max(apartSeconds, Math.abs(first.iat - start.iat) + Math.abs(last.iat - end.iat));
  }
  if (devices.length === 0) return undefined;
  const apartWh = Math.ceil(((meter.capacityW ?? 0) * apartSeconds) / 3600);
  const deviationWh = Math.abs(inverterWh - wh);
  if (deviationWh <= TOLERANCE * Math.max(inverterWh, wh) + apartWh) return undefined;
  return { flag: 'inverter-deviation', evidence: { meterWh: wh, inverterWh, deviationWh, apartWh } };
}
