/**
 * Data of earlier formats, made by the steps of the schema as they were then and filled with what a real gateway wrote;
 * opened by the gateway of today, also by one that is killed on the way, and checked whole.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIGRATIONS, SCHEMA_VERSION } from '../../edge/store/schema.ts';
import { Store } from '../../edge/store/store.ts';
import { formerCopies } from '../../edge/store/upgrade.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { edge, start } from '../support/cli.ts';
import { untilItsEnd } from '../support/ends.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

/** Readings of two devices, one with a gap, and something in quarantine. */
let filled: string;
let entries: number;
const FORMATS = MIGRATIONS.map((_, i) => i).slice(1);

const reading = ({ kind }: TestDevice, i: number): SenmlRecord[] =>
  kind === 'plant' ? [{ n: '1-0:2.8.0', u: 'Wh', v: 1000 + i }] : [{ n: 'temperature', u: 'Cel', v: i }];

beforeAll(async () => {
  filled = mkdtempSync(join(tmpdir(), 'sejong-edge-'));
  await untilItsEnd(new AbortController().signal, async () => {
    const gateway = await startTestGateway({ dataFolder: filled });
    const plant = await new TestDevice('upgrade', 'plant').enrol(gateway);
    const sensor = await new TestDevice('upgrade-2', 'sensor', 'P-256').enrol(gateway);
    for (const device of [plant, sensor]) {
      const client = await device.connect(gateway);
      const sent = [];
      for (let i = 0; i < 40; i++) {
        if (i === 10) device.seq++; // a gap that stays open
        sent.push(device.publish(client, device.envelope({ records: reading(device, i) })));
      }
      await Promise.all(sent);
      await device.publish(client, device.envelope({ seq: 3, records: reading(device, 7) })); // equivocation
    }
    expect((await gateway.finish()).quarantined).toEqual(new Map([['EQUIVOCATION', 2]]));
    entries = gateway.parts.log.size;
  });
});
afterAll(() => rmSync(filled, { recursive: true, force: true }));

/** The data folder as a version with that format would have left it. */
function ofFormat(format: number): string {
  const folder = tempFolder();
  cpSync(filled, folder, { recursive: true });
  const path = join(folder, 'edge.db');
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  for (const step of MIGRATIONS.slice(0, format)) db.exec(step);
  db.prepare('ATTACH ? AS now').run(join(filled, 'edge.db'));
  const tables = db.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
  db.transaction(() => {
    for (const table of tables.pluck().all() as string[]) {
      const columns = db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table).join(', ');
      db.exec(`INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM now.${table}`);
    }
    db.pragma(`user_version = ${format}`);
  })();
  db.exec('DETACH now');
  db.close();
  return folder;
}

const formatOf = (path: string): unknown => {
  const db = new Database(path, { readonly: true });
  try {
    return db.pragma('user_version', { simple: true });
  } finally {
    db.close();
  }
};

describe('a database of an earlier data format', () => {
  it.each(FORMATS)('%i is upgraded, with all that was in it, and a copy of it is kept', async (format) => {
    const dataFolder = ofFormat(format);
    const gateway = await startTestGateway({ dataFolder });
    const path = join(dataFolder, 'edge.db');
    const [copy] = formerCopies(path);
    expect(gateway.lines.join('\n')).toContain(
      `store: the database is upgraded from data format ${format} to ${SCHEMA_VERSION}; edge.db.format-${format}-`,
    );
    expect(gateway.parts.log.size).toBe(entries);
    // It goes on where it was: the next reading is one more, the open gap is known, the equivocation too.
    const plant = new TestDevice('upgrade', 'plant');
    plant.seq = 41;
    await plant.publish(await plant.connect(gateway), plant.envelope({ records: reading(plant, 41) }));
    const device = gateway.parts.devices.get(plant.did);
    expect(device?.counter).toMatchObject({ entries: 41, seq: 41, gaps: [expect.anything()] });
    expect((await gateway.finish()).quarantined).toEqual(new Map([['EQUIVOCATION', 2]]));
    expect(formatOf(path)).toBe(SCHEMA_VERSION);
    expect(formatOf(copy as string)).toBe(format);
    // The copy is whole: an older program could go on from it.
    const old = new Database(copy as string, { readonly: true });
    expect(old.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(old.prepare('SELECT count(*) FROM entries').pluck().get()).toBe(entries);
    old.close();
  });

  it.each([
    ['upgrade.copying', 1],
    ['upgrade.copied', 1],
    ['upgrade.step', 1],
    ['upgrade.step', SCHEMA_VERSION - 1],
    ['upgrade.before', 1],
    ['upgrade.after', 1],
  ])('is whole when the power goes at %s (%i), and the next start goes on', async (point, n) => {
    const dataFolder = ofFormat(1);
    const config = join(dataFolder, 'edge.yaml');
    writeFileSync(
      config,
      'dataFolder: .\nmqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nlog: {checkpointSeconds: 0.2}\n',
    );
    const dies = start(process.execPath, ['edge/main.ts', 'run', '--config', config], {
      env: { SEJONG_EDGE_FAULTS: `${point}=kill@${n}` },
    });
    await dies.ended;
    expect(dies.child.signalCode, dies.lines.join('\n')).toBe('SIGKILL');
    const path = join(dataFolder, 'edge.db');
    expect(formatOf(path)).toBe(point === 'upgrade.after' ? SCHEMA_VERSION : 1);
    const next = start(process.execPath, ['edge/main.ts', 'run', '--config', config]);
    await next.line(/"msg":"ready"/);
    expect(await next.stop()).toBe(0);
    expect(wholeTruth(dataFolder).entries).toBe(entries);
    expect(formatOf(path)).toBe(SCHEMA_VERSION);
    // One copy, however often it was begun, and nothing half.
    expect(formerCopies(path)).toHaveLength(1);
    expect(readdirSync(dataFolder).filter((name) => name.includes('copying'))).toEqual([]);
  });

  it('is not read by tools before it is upgraded, and they say what to do', async () => {
    const folder = ofFormat(3);
    expect(() => Store.read(join(folder, 'edge.db'))).toThrow(
      /^DATA_FORMAT: .*has data format 3, of an earlier version/,
    );
  });
});

describe('a database of a later data format', () => {
  it('is refused in words, and nothing of it is touched', async () => {
    const folder = ofFormat(SCHEMA_VERSION);
    const path = join(folder, 'edge.db');
    const db = new Database(path);
    db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
    db.close();
    const before = statSync(path).mtimeMs;
    const config = join(folder, 'edge.yaml');
    writeFileSync(config, 'dataFolder: .\nmqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\n');
    const { code, stderr } = await edge(['run', '--config', config]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^DATA_FORMAT: .*of a later version of this program/);
    expect(statSync(path).mtimeMs).toBe(before);
    expect(formerCopies(path)).toEqual([]);
  });
});
