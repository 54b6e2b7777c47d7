/** The serial lines of the demo: what is on them, and by which profiles it is read. firmware-sim brings the ttys. */
import { join } from 'node:path';

/** Each alone on a line of its own. */
export const INVERTERS = 1;
export const DEMO_WIRES = ['roof', 'feeder', 'house', 'car', 'mast'];

type Port = { path: string; baudRate?: number; devices: Record<string, unknown>[] };

export function demoPorts(data: string, seed: number): Port[] {
  const tty = (name: string): string => join(data, 'tty', name);
  // Of this seed's district: another one measures elsewhere.
  const sub = (what: string, n: number): string => `urn:sejong:${what}:9${String(seed % 10_000).padStart(4, '0')}${n}`;
  const inverters = Array.from({ length: INVERTERS }, (_, i) => ({
    path: tty(`inverter-${i + 1}`),
    devices: [{ sub: sub('mp', i + 1), profile: 'pv-sunspec', unitId: 1, everySeconds: 2 }],
  }));
  return [
    ...inverters,
    {
      path: tty('roof'),
      devices: [
        { sub: sub('mp', 11), profile: 'pv-sunspec', unitId: 1, everySeconds: 5 },
        { sub: sub('mp', 12), profile: 'pv-sunspec', unitId: 2, everySeconds: 5 },
        { sub: sub('mp', 13), profile: 'meter-modbus', unitId: 3, everySeconds: 5 },
        { sub: sub('mp', 14), profile: 'charger', unitId: 4, everySeconds: 5 },
      ],
    },
    {
      path: tty('feeder'),
      devices: [17, 18, 19].map((physical, i) => ({
        sub: sub('mp', 21 + i),
        profile: 'meter-dlms',
        address: `1/${physical}`,
        everySeconds: 10,
      })),
    },
    { path: tty('house'), devices: [{ sub: sub('mp', 31), profile: 'meter-p1', everySeconds: 5 }] },
    { path: tty('mast'), devices: [{ sub: sub('vehicle', 2), profile: 'gnss', everySeconds: 5 }] },
    { path: tty('car'), devices: [{ sub: sub('vehicle', 1), profile: 'vehicle-obd', everySeconds: 5 }] },
  ];
}
