import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Alarms, type AlarmsOptions, type Raised } from '../../edge/alarms/alarms.ts';
import { Heard, parseLine } from '../../edge/alarms/heard.ts';
import { type Health, Watch } from '../../edge/alarms/watch.ts';
import { EdgeError } from '../../edge/errors.ts';
import { AlarmRows } from '../../edge/store/alarms.ts';
import { Store } from '../../edge/store/store.ts';
import { tempFolder } from '../support/temp.ts';

class Rig {
  alarms!: Alarms;
  rows!: AlarmRows;
  store!: Store;
  lines: string[] = [];
  full = 0;
  told = 0;
  nowMs = 1000;
}
async function rig(folder = tempFolder(), over: Partial<AlarmsOptions> = {}): Promise<Rig> {
  const r = new Rig();
  r.store = await Store.open(join(folder, 'edge.db'));
  onTestFinished(() => r.store.close());
  r.rows = new AlarmRows(r.store);
  r.alarms = new Alarms({
    rows: r.rows,
    write: (statements) => r.store.write({ statements }),
    nowMs: () => r.nowMs,
    maxOpen: 1000,
    onFull: () => r.full++,
    onTold: () => r.told++,
    report: (line) => r.lines.push(line),
    ...over,
  });
  r.alarms.start();
  return r;
}
const about = (over: Partial<Raised> = {}): Raised => ({
  ...{ source: 'device', code: 'DEVICE_SILENT', part: 'devices', place: 'did:1' },
  ...{ detail: 'since then', severity: 'warning' },
  ...over,
});

describe('alarms', () => {
  it('are one for each code and place, counted up while they are open, and kept over a restart', async () => {
    const folder = tempFolder();
    const first = await rig(folder);
    const { alarms, rows } = first;
    expect(alarms.raise(about({ source: 'said', place: 'a' }), 3)).toBe(true);
    alarms.raise(about({ source: 'said', place: 'a', detail: 'now this' }), 2);
    alarms.raise(about());
    alarms.raise(about());
    expect(alarms.open).toBe(2);
    await alarms.flush();
    expect(rows.open()).toMatchObject([
      { id: 1, place: 'a', times: 5, detail: 'now this', change: 1, clearedMs: null },
      { id: 2, place: 'did:1', times: 1, change: 2 },
    ]);
    first.nowMs = 2000;
    alarms.clear(alarms.get('DEVICE_SILENT', 'did:1') as never);
    await alarms.flush();
    alarms.raise(about()); // again: another one
    await alarms.stop();
    await first.store.close();

    const { alarms: again, rows: read } = await rig(folder);
    expect(again.open).toBe(2);
    expect(read.list(9, 99, undefined)).toMatchObject([
      { id: 3, place: 'did:1', clearedMs: null, change: 4 },
      { id: 2, place: 'did:1', raisedMs: 1000, clearedMs: 2000, change: 3 },
      { id: 1, place: 'a' },
    ]);
    expect(read.list(9, 99, false).map(({ id }) => id)).toEqual([2]);
    expect(read.list(9, 3, true).map(({ id }) => id)).toEqual([1]);
    expect(read.changes(3, 9).map(({ id }) => id)).toEqual([2, 3]);
    again.raise(about({ place: 'did:2' }));
    await again.flush();
    expect(read.newest()).toEqual({ id: 4, change: 5 });
  });

  it('are capped where they come from outside, and never for the parts of the gateway', async () => {
    const r = await rig(tempFolder(), { maxOpen: 3 });
    const { alarms } = r;
    const raised = Array.from({ length: 5 }, (_, i) => alarms.raise(about({ place: `did:${i}` })));
    expect([raised, r.full, alarms.hasRoom]).toEqual([[true, true, true, false, false], 2, false]);
    expect(alarms.raise(about({ source: 'quarantine', code: 'REPLAY' }))).toBe(false);
    expect(alarms.raise(about({ source: 'health', code: 'CHAIN_AWAY', place: 'chain', severity: 'alarm' }))).toBe(true);
    for (let i = 0; i < 300; i++) alarms.raise(about({ source: 'said', code: 'SERIAL_AWAY', place: `tty${i}` }));
    expect(alarms.of('said')).toHaveLength(200);
    expect([alarms.count('alarm'), alarms.count('warning')]).toEqual([1, 203]);
    alarms.clear(alarms.of('device')[0] as never);
    expect(alarms.raise(about({ place: 'x'.repeat(1000), detail: 'y'.repeat(9999) }))).toBe(true);
    await alarms.flush();
    const [row] = r.rows.list(1, 999, true);
    expect([row?.place.length, row?.detail.length]).toEqual([300, 500]);
  });

  it('go to disk in the order of their changes, a few at once, and again where the store fails', async () => {
    const batches: number[] = [];
    let fails = true;
    const r: Rig = await rig(tempFolder(), {
      write: async (statements) => {
        if (fails) throw new EdgeError('STORE_UNAVAILABLE', 'full');
        batches.push(statements.length);
        await r.store.write({ statements });
      },
    });
    for (let i = 0; i < 450; i++) r.alarms.raise(about({ place: `did:${i}` }));
    await r.alarms.flush();
    await r.alarms.flush();
    expect([r.lines.length, r.told, r.rows.newest()]).toEqual([1, 0, { id: 0, change: 0 }]); // said once
    fails = false;
    const flushed = r.alarms.flush();
    for (const row of r.alarms.of('device').slice(0, 10)) r.alarms.clear(row); // meanwhile
    await flushed;
    expect(batches).toEqual([200, 200, 60]);
    expect(r.rows.changes(0, 999).map(({ change }) => change)).toEqual([
      ...Array.from({ length: 440 }, (_, i) => i + 11),
      ...Array.from({ length: 10 }, (_, i) => i + 451),
    ]);
  });

  it('are kept 10,000, and those that are open', async () => {
    const { alarms, rows } = await rig();
    alarms.raise(about({ place: 'did:open' }));
    for (let i = 0; i < 10_500; i++) {
      alarms.raise(about());
      alarms.clear(alarms.get('DEVICE_SILENT', 'did:1') as never);
    }
    await alarms.flush();
    const all = rows.list(99_999, 99_999, undefined);
    expect(all.length).toBeLessThan(10_102);
    expect(all.at(-1)).toMatchObject({ id: 1, place: 'did:open', clearedMs: null });
  });

  it('end by a person where nothing else ends them, and are forgotten with whom they are about', async () => {
    const { alarms, rows } = await rig();
    alarms.raise(about({ place: 'did:7' }));
    alarms.raise(about({ source: 'quarantine', code: 'REPLAY', place: 'did:8' }));
    const done: number[] = [];
    const commit = async ({ id }: { id: number }): Promise<void> => void done.push(id);
    await expect(alarms.clearBy(1, commit)).rejects.toMatchObject({ code: 'ALARM_STATE' });
    await expect(alarms.clearBy(9, commit)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await alarms.clearBy(2, commit)).toMatchObject({ id: 2, clearedMs: 1000 });
    await expect(alarms.clearBy(2, commit)).rejects.toMatchObject({ code: 'ALARM_STATE' });
    expect(done).toEqual([2]);
    alarms.raise(about({ place: 'did:9', detail: 'beside did:7' }));
    alarms.forget(['did:7', 'urn:x']);
    await alarms.flush();
    expect([alarms.open, rows.list(9, 99, undefined).map(({ place }) => place)]).toEqual([0, ['did:8', 'did:7']]);
  });
});

describe('a warning', () => {
  it('is one where a code stands at its beginning, and says where', () => {
    const { line } = new EdgeError('SERIAL_AWAY', 'bus1 (/dev/ttyUSB0): ENOENT');
    expect(parseLine(`serial: ${line}`)).toEqual({
      ...{ code: 'SERIAL_AWAY', part: 'serial', place: 'serial', detail: 'bus1 (/dev/ttyUSB0): ENOENT' },
    });
    expect(parseLine(line)).toMatchObject({ part: 'gateway', place: 'gateway' });
    expect(parseLine('serial: did:key:z6Mkabc: REPLAY: 1 is lower')).toMatchObject({
      ...{ code: 'REPLAY', part: 'serial', place: 'serial: did:key:z6Mkabc', detail: '1 is lower' },
    });
    for (const other of [
      'chain: all is well again',
      'SOMETHING_ELSE: x',
      'mqtt: "a client": STORE_DAMAGED: x', // what comes from outside stands in quotes
      'mqtt: closed, it says STORE_DAMAGED',
    ])
      expect(parseLine(other), other).toBeUndefined();
  });

  it('is held until it is looked at, once for each code and place, and no more than 500', () => {
    const heard = new Heard();
    for (let i = 0; i < 3; i++) heard.hear('chain: CHAIN_AWAY: x');
    for (let i = 0; i < 1000; i++) heard.hear(`serial ${i}: SERIAL_AWAY: x`);
    expect(heard.take(performance.now() - 60_000)).toEqual([]);
    const said = heard.take(performance.now());
    expect(said).toHaveLength(500);
    expect(said[0]).toMatchObject({ code: 'CHAIN_AWAY', times: 3 });
    expect(heard.take(performance.now())).toEqual([]);
  });
});

describe('a look', () => {
  it('raises what is not well twice, and what was said of nothing that is; each once, and over when it is', async () => {
    const r = await rig();
    const { alarms } = r;
    const heard = new Heard();
    let health: Health = {};
    const watch = new Watch({
      ...{ alarms, heard, health: () => health, healthSeconds: 0, silentSeconds: 60, ownKind: 'gateway' },
      devices: { list: () => [], get: () => undefined } as never, // there are none
      quarantine: { after: () => [] } as never,
      refused: new Map(),
      seenId: { get: () => 0, set: async () => undefined },
      receipts: () => [],
      report: (line) => expect.fail(line),
    });
    const look = (parts: Health = {}): string[] => {
      health = parts;
      watch.look();
      return [...alarms.of('health'), ...alarms.of('said')].map(
        ({ code, place, severity }) => `${code} ${place} ${severity}`,
      );
    };
    const line = (code: 'CHAIN_AWAY' | 'WITNESS_AWAY' | 'BUNDLE_ROLLBACK') => new EdgeError(code, 'x').line;
    for (const said of [`chain: ${line('CHAIN_AWAY')}`, line('WITNESS_AWAY'), `checks: ${line('BUNDLE_ROLLBACK')}`])
      heard.hear(said);
    const chain = { chain: { ok: false, detail: `no head: ${line('CHAIN_AWAY')}` } };
    const all = { ...chain, witnesses: { ok: false, detail: 'x' }, clock: { ok: false, detail: 'x' } };
    expect(look(all)).toEqual([]);
    const found = ['CHAIN_AWAY chain alarm', 'WITNESS_AWAY witnesses alarm', 'CLOCK_UNSYNCED clock warning'];
    expect(look(all)).toEqual([...found, 'BUNDLE_ROLLBACK checks warning']);
    expect(look({ chain: { ok: false, detail: `no head: ${new EdgeError('CHAIN_WRONG', 'x').line}` } })).toEqual([
      'CHAIN_WRONG chain alarm', // the same part, with another word
      'BUNDLE_ROLLBACK checks warning',
    ]);
    expect(look({ 'mqtt tls': { ok: false, detail: 'x' } })).toEqual(['BUNDLE_ROLLBACK checks warning']);
    expect(look({ 'mqtt tls': { ok: false, detail: 'x' } })[0]).toBe('CERTIFICATE_ENDS mqtt tls alarm');
    look();
    expect(look({ chain: { ok: false, detail: 'x' } }), 'once').toEqual(['BUNDLE_ROLLBACK checks warning']);
    look();
    r.nowMs += 3_600_001;
    expect(look(), 'nobody has said it again').toEqual([]);
    await alarms.flush();
  });
});
