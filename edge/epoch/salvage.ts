/** What a new database takes over from those that were set aside, and from the copy of the registry. */
import { basename } from 'node:path';
import { SalvagedLog } from '../log/salvage.ts';
import { Aside } from '../store/aside.ts';
import { CounterState, type Range } from '../store/counters.ts';
import { deviceColumns, saveCounter, saveDevice } from '../store/devices.ts';
import { saveMark } from '../store/marks.ts';
import { newer, type Registered } from '../store/registry.ts';
import type { SqlStatement, SqlValue } from '../store/store.ts';

/** Rows of quarantine in one transaction: each may be an envelope of 64 KiB. */
const QUARANTINE_ROWS = 200;

/** Whose files are believed: another gateway's are not ours to read. */
export type Owner = { name: string; did: string; publicKey: Uint8Array };

/** Undefined where SQLite reads nothing of it, or it is another gateway's. */
export function openAside(path: string, { did }: Owner): Aside | undefined {
  const aside = Aside.open(path);
  if (!aside || (aside.meta('did') ?? did) === did) return aside;
  aside.close();
  return undefined;
}

export const salvagedLog = (aside: Aside, { name, publicKey }: Owner): SalvagedLog =>
  new SalvagedLog(aside, aside.meta('origin') ?? name, publicKey);

/** Who may speak: in the order of their numbers, which entries refer to. */
export function salvageDevices(asides: readonly Aside[], registry: ReadonlyMap<string, Registered>): Registered[] {
  const found = new Map<string, Registered>();
  const add = (device: Registered): void => {
    const held = found.get(device.did);
    // The number stays that of the database: its counters and entries go by it.
    found.set(device.did, held ? { ...newer(held, device), id: held.id } : device);
  };
  for (const aside of asides)
    for (const device of aside.rows<Registered>(
      `SELECT ${deviceColumns(aside.has('devices', 'register_modulus_wh'))} FROM devices WHERE id >= ? ORDER BY id LIMIT ?`,
      ({ id }) => id,
    ))
      add(device);
  for (const device of registry.values()) add(device);
  const taken = new Set<number>();
  let next = 1 + Math.max(-1, ...[...found.values()].map(({ id }) => id));
  return [...found.values()].map((device) => {
    const id = taken.has(device.id) ? next++ : device.id;
    taken.add(id);
    return { ...device, id };
  });
}

type CounterRow = { device: number; epoch: number; seq: number; gaps: string; lastMs: number };

/** How far each device has come, by its DID: as it was written, or else as its entries show it. */
export function salvageCounters(asides: readonly Aside[]): Map<string, CounterState> {
  const found = new Map<string, CounterState>();
  for (const aside of asides) {
    const dids = didsOf(aside);
    const keep = (device: number, epoch: number, seq: number, gaps: readonly Range[], lastMs: number): void => {
      const did = dids.get(device);
      const held = did === undefined ? undefined : found.get(did);
      if (did === undefined || (held && (held.epoch > epoch || (held.epoch === epoch && held.seq >= seq)))) return;
      found.set(did, new CounterState({ epoch, seq, gaps, entries: 0, lastIdx: -1, lastMs }));
    };
    const counted = new Set<number>();
    for (const row of aside.rows<CounterRow>(
      'SELECT device, epoch, seq, gaps, last_ms AS lastMs FROM counters WHERE device >= ? ORDER BY device LIMIT ?',
      ({ device }) => device,
    )) {
      counted.add(row.device);
      keep(row.device, row.epoch, row.seq, JSON.parse(row.gaps) as Range[], row.lastMs);
    }
    if ([...dids.keys()].every((device) => counted.has(device))) continue;
    for (const { device, epoch, seq, lastMs } of aside.rows<{
      idx: number;
      device: number;
      epoch: number;
      seq: number;
      lastMs: number;
    }>(
      'SELECT idx, device, epoch, seq, received_ms AS lastMs FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?',
      ({ idx }) => idx,
    ))
      if (!counted.has(device)) keep(device, epoch, seq, [], lastMs);
  }
  return found;
}

/** What drivers kept of devices, which must keep their numbers (salvageDevices). Repeating it does no harm. */
export function salvageMarks(aside: Aside, devices: readonly Registered[]): SqlStatement[] {
  if (!aside.has('marks', 'name')) return [];
  const dids = didsOf(aside);
  const ids = new Map(devices.map(({ did, id }) => [did, id]));
  const rows = aside.rows<{ id: number; device: number; name: string; value: number }>(
    'SELECT id, device, name, value FROM marks WHERE id >= ? ORDER BY id LIMIT ?',
    ({ id }) => id,
  );
  return [...rows].flatMap(({ device, name, value }) => {
    const id = ids.get(dids.get(device) ?? '');
    return id === undefined ? [] : [saveMark(id, name, value)];
  });
}

/** Numbers of devices in this file, to their DIDs. */
export const didsOf = (aside: Aside): Map<number, string> =>
  new Map(
    [
      ...aside.rows<{ id: number; did: string }>(
        'SELECT id, did FROM devices WHERE id >= ? ORDER BY id LIMIT ?',
        ({ id }) => id,
      ),
    ].map(({ id, did }) => [id, did]),
  );

export const saveRegistry = (
  devices: readonly Registered[],
  counters: ReadonlyMap<string, CounterState>,
): SqlStatement[] =>
  devices.flatMap((device) => {
    const counter = counters.get(device.did);
    return [saveDevice(device), ...(counter ? [saveCounter(device.id, counter)] : [])];
  });

/** All that lies in quarantine, in lists that are short enough for one transaction. Repeating it does no harm. */
export function* salvageQuarantine(aside: Aside): Generator<SqlStatement[]> {
  const columns = 'did, topic, code, detail, sha256, bytes, epoch, seq, first_ms, last_ms, times';
  const sql = `INSERT OR IGNORE INTO quarantine (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
  let list: SqlStatement[] = [];
  for (const { id: _, ...row } of aside.rows<{ id: number } & Record<string, SqlValue>>(
    `SELECT id, ${columns} FROM quarantine WHERE id >= ? ORDER BY id LIMIT ?`,
    ({ id }) => id,
  )) {
    list.push({ sql, params: Object.values(row) });
    if (list.length < QUARANTINE_ROWS) continue;
    yield list;
    list = [];
  }
  yield list;
}

/**
 * Anchors that were on their way. They go on under the origin that they are of: their nonces are used, and what was
 * signed and sent may arrive.
 */
export function salvageTransactions(aside: Aside, origin: string): SqlStatement[] {
  const columns = 'chain_id, contract, nonce, size, root, raw, hashes, fee, status, block, gas_used, made_ms, sent_ms';
  const rows = aside.rows<{ id: number; status: string } & Record<string, SqlValue>>(
    `SELECT id, ${columns}, ${aside.has('transactions', 'origin') ? 'origin' : 'NULL AS origin'} FROM transactions WHERE id >= ? ORDER BY id LIMIT ?`,
    ({ id }) => id,
  );
  return [...rows]
    .filter(({ status }) => ['signed', 'sent', 'mined'].includes(status))
    .map(({ id: _, ...row }) => ({
      sql: `INSERT INTO transactions (${columns}, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      params: Object.values({ ...row, origin: row.origin ?? origin }),
    }));
}

/**
 * What was held of other logs, as their witness, and the evidence against them: a witness that forgets could be shown
 * another history. Of two that know a log the one that has seen more of it counts. Repeating it does no harm.
 */
export function salvageWitnessed(aside: Aside): SqlStatement[] {
  const columns = 'origin, size, root, note, cosignature, time';
  const sql = `INSERT INTO witnessed (${columns}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET
    size = excluded.size, root = excluded.root, note = excluded.note, cosignature = excluded.cosignature,
    time = excluded.time WHERE excluded.size > witnessed.size`;
  const evidence = 'origin, kind, held, note, first_ms, last_ms, times';
  type Row = { id: number } & Record<string, SqlValue>;
  return [
    ...[
      ...aside.rows<Row>(
        `SELECT rowid AS id, ${columns} FROM witnessed WHERE rowid >= ? ORDER BY rowid LIMIT ?`,
        ({ id }) => id,
      ),
    ].map(({ id: _, ...row }) => ({ sql, params: Object.values(row) })),
    ...[
      ...aside.rows<Row>(`SELECT id, ${evidence} FROM evidence WHERE id >= ? ORDER BY id LIMIT ?`, ({ id }) => id),
    ].map(({ id: _, ...row }) => ({
      sql: `INSERT OR IGNORE INTO evidence (${evidence}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      params: Object.values(row),
    })),
  ];
}

/**
 * Tokens of people, and above all which of them were revoked; and what opens the entries about operators, which are
 * carried over and then have their new place here. Repeating it does no harm.
 */
export function salvagePeople(aside: Aside): SqlStatement[] {
  const tokens = aside.all<Record<string, SqlValue>>(
    'SELECT id, name, role, made_ms, expires_ms, made_by, revoked_ms FROM tokens',
  );
  const audit = aside.all<Record<string, SqlValue>>('SELECT digest, idx, salt, content FROM audit');
  return [
    ...tokens.map((row) => ({
      sql: `INSERT INTO tokens (id, name, role, made_ms, expires_ms, made_by, revoked_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET revoked_ms = coalesce(revoked_ms, excluded.revoked_ms)`,
      params: Object.values(row),
    })),
    ...audit.map((row) => ({
      // Below the first entry until its own is carried over.
      sql: 'INSERT OR IGNORE INTO audit (digest, idx, salt, content) VALUES (?, -1, ?, ?)',
      params: [row.digest, row.salt, row.content] as SqlValue[],
    })),
  ];
}

export const isBehind = (path: string): boolean => basename(path).includes('.behind-');
