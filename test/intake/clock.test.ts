import { describe, expect, it } from 'vitest';
import type { EntryView } from '../../edge/api/views.ts';
import { startClock } from '../../edge/intake/clock.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { WallClock, YEAR_MS } from '../support/wall-clock.ts';
import { CONNACK, connectPacket, RawMqtt } from './raw-mqtt.ts';

const MINUTE = 60_000;

function hands(source: 'synced' | 'unsynced') {
  const at = { wall: 1_790_000_000_000, mono: 500 };
  const lines: string[] = [];
  const now = startClock({ source, wall: () => at.wall, mono: () => at.mono, report: (line) => lines.push(line) });
  return {
    lines,
    /** Time goes by, and then the wall clock is set. */
    after: (ms: number, setByMs = 0) => {
      at.wall += ms + setByMs;
      at.mono += ms;
      return now();
    },
  };
}

describe('the worth of the clock', () => {
  it('is what its source says, while wall and monotonic time go on together', () => {
    const clock = hands('synced');
    for (const ms of [0, 10, YEAR_MS]) expect(clock.after(ms).clockSynced).toBe(true);
    expect(clock.after(1000, 59_000), 'a slew, or a small correction').toMatchObject({ clockSynced: true });
    expect(hands('unsynced').after(5)).toEqual({ receivedMs: 1_790_000_000_005, monoMs: 505, clockSynced: false });
    expect(clock.lines).toEqual([]);
  });

  it('is doubted for ten minutes after it was set by more than a minute, forward or back, and that is said once', () => {
    for (const [by, says] of [
      [YEAR_MS, 'forward by 31536000 s'],
      [-YEAR_MS, 'back by 31536000 s'],
    ] as const) {
      const clock = hands('synced');
      expect(clock.after(MINUTE, by).clockSynced).toBe(false);
      expect(clock.after(9 * MINUTE).clockSynced).toBe(false);
      expect(clock.after(MINUTE).clockSynced).toBe(true);
      expect(clock.lines).toEqual([`clock: the wall clock was set ${says}; readings are taken all the same`]);
    }
  });

  it('does not suffer from the step that first sets it', () => {
    const clock = hands('unsynced');
    expect(clock.after(MINUTE, 3 * YEAR_MS).clockSynced).toBe(false);
    expect(clock.lines).toHaveLength(1);
  });
});

describe('a wall clock that is wrong and is set while the gateway runs', () => {
  /** The same token all the time: the device's own clock is right. */
  const login = async (gateway: TestGateway, user: string, password: string): Promise<string> => {
    const raw = await RawMqtt.open(gateway);
    raw.send(connectPacket({ user, password, clientId: 'again' }));
    return (await raw.take(4)).toString('hex');
  };

  for (const source of ['unsynced', 'synced'] as const)
    it(`(${source}) refuses nothing, keeps the order of arrival, goes on with checkpoints, and records what it was worth`, async () => {
      const clock = new WallClock();
      const device = new TestDevice('clock');
      const password = device.jwt('sejong.example/edge-1');
      const dataFolder = tempFolder();
      const expected: { receivedMs: number; synced: boolean; boot: number }[] = [];
      let size = 1;
      let listed: EntryView[] = [];
      // Booted a year early and a year late, each time with a step there and back.
      for (const [boot, start] of [-YEAR_MS, YEAR_MS].entries()) {
        clock.offsetMs = start;
        const gateway = await startTestGateway({ dataFolder, clock: { source }, mqtt: { maxConnectionsPerUser: 100 } });
        expect(gateway.info.origin).toBe('sejong.example/edge-1');
        if (boot === 0) await device.enrol(gateway);
        // Of a clock that is vouched for, a wrong date is believed at a boot; a step is not.
        if (source === 'unsynced') expect(await login(gateway, device.did, password)).toBe(CONNACK.accepted);
        let stepped = false;
        let client = await device.connect(gateway);
        for (const offset of [start, start + YEAR_MS, start - YEAR_MS, start - YEAR_MS + 1000, 0]) {
          stepped ||= offset !== start;
          clock.offsetMs = offset;
          if (stepped) expect(await login(gateway, device.did, password), `login at ${offset}`).toBe(CONNACK.accepted);
          // Those that are connected stay so, and who comes anew is let in.
          for (let i = 0; i < 3; i++) {
            await device.publish(client, device.envelope());
            expected.push({ receivedMs: Date.now(), synced: source === 'synced' && !stepped, boot });
          }
          client = await device.connect(gateway);
          size += 3;
          const { log } = gateway.parts;
          await until(() => log.latest?.size === size, `a checkpoint of ${size}`);
          const viewer = await gateway.token('viewer');
          expect((await gateway.api('/entries', { token: viewer })).status, 'a token made now is good now').toBe(200);
        }
        const rows = gateway.parts.entries.page(1, 1000);
        expect(
          rows.map(({ seq }) => seq),
          'the order of arrival',
        ).toEqual(rows.map((_, i) => i));
        for (const [i, row] of rows.entries()) {
          const e = expected[i] as (typeof expected)[number];
          expect(Math.abs(row.receivedMs - e.receivedMs), `entry ${i + 1}`).toBeLessThan(10_000);
          expect([row.clockSynced === 1, row.boot]).toEqual([e.synced, (rows[0]?.boot as number) + e.boot]);
          const before = rows[i - 1];
          if (before?.boot === row.boot) expect(row.monoMs).toBeGreaterThanOrEqual(before.monoMs);
        }
        expect(gateway.parts.quarantine.held).toBe(0);
        expect(gateway.lines.filter((line) => line.startsWith('clock: ')).length).toBe(3 - boot);

        // By time, two at a time: all of them, each once.
        listed = [];
        const token = await gateway.token('viewer'); // those of before are judged by the wall clock
        for (let after = ''; ; ) {
          const query = `/entries?from=2000-01-01T00:00:00Z&to=2200-01-01T00:00:00Z&limit=2${after}`;
          const { entries } = (await gateway.api(query, { token })).body as { entries: EntryView[] };
          if (entries.length === 0) break;
          listed.push(...entries);
          after = `&after=${entries.at(-1)?.index}`;
        }
        expect(listed.map((e) => e.index).sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
        expect((await gateway.finish()).entries).toBe(size);
      }
    });
});
