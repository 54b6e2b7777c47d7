/**
 * What is true of every certificate: its energy is the difference of two registers that its device has signed, near the
 * two ends of its hour, below what the plant can give; and no hour of a metering point was certified twice. Computed
 * from the entries of the log and the rows alone, with nothing of the gateway's but the envelope's decoder.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type Abi, decodeEventLog, type Hex, keccak256, type PublicClient, toBytes } from 'viem';
import { expect } from 'vitest';
import { decodeEnvelope, type Envelope } from '../../edge/wire/envelope.ts';

const HOUR = 3600;
const DAY = 86_400;
const REGISTER = '1-0:2.8.0';

export type CreditTruth = {
  /** Slots that are minted and stand, and their Wh. */
  minted: number;
  mintedWh: number;
  refused: number;
  claimedWh: number;
};

type DeviceRow = {
  id: number;
  did: string;
  sub: string;
  kind: string;
  custody: string;
  capacityW: number | null;
  modulusWh: number | null;
};
type CertificateRow = {
  point: string;
  slot: number;
  version: number;
  pointId: Uint8Array;
  device: number;
  wh: number;
  startIdx: number;
  startWh: number;
  endIdx: number;
  endWh: number;
  state: string;
  code: string | null;
};
type EventRow = {
  block: number;
  logIndex: number;
  event: string;
  point: Uint8Array;
  slot: number;
  version: number;
  wh: number;
  data: string;
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The register that an envelope shows at a full hour; undefined where it shows none. */
export function registerAt({ records, iat }: Pick<Envelope, 'records' | 'iat'>, hour: number): number | undefined {
  const isRegister = ({ n, u, v }: Envelope['records'][number]): boolean =>
    n === REGISTER && u === 'Wh' && Number.isSafeInteger(v) && (v as number) >= 0;
  if (records.length === 25) {
    const first = records[0]?.t as number;
    const isProfile = records.every((r, i) => isRegister(r) && r.t === first + i * HOUR);
    if (!isProfile || first % DAY !== 0 || iat < first + DAY) return undefined;
    return records.find(({ t }) => t === hour)?.v;
  }
  const [register, power] = records;
  if (!register || !isRegister(register) || register.t !== undefined || records.length > 2) return undefined;
  if (power && (power.n !== '1-0:16.7.0' || power.u !== 'W' || power.t !== undefined || !Number.isInteger(power.v)))
    return undefined;
  return Math.abs(iat - hour) <= 60 ? register.v : undefined;
}

/** @param carried an earlier log was lost, and what was certified from it has no rows here */
export function checkCredits(db: Database.Database, carried: boolean): CreditTruth {
  const devices = new Map(
    db
      .prepare<[], DeviceRow>(
        `SELECT id, did, sub, kind, custody, capacity_w AS capacityW, register_modulus_wh AS modulusWh FROM devices`,
      )
      .all()
      .map((row) => [row.id, row]),
  );
  const envelopeOf = db.prepare<[number], { envelope: Uint8Array }>('SELECT envelope FROM entries WHERE idx = ?');
  /** Undefined where the log keeps a hash only. */
  const read = (idx: number): Envelope | undefined => {
    const row = envelopeOf.get(idx);
    expect(row, `entry ${idx} of a certificate`).toBeDefined();
    const bytes = new Uint8Array(row?.envelope ?? []);
    try {
      return decodeEnvelope(bytes);
    } catch {
      return undefined;
    }
  };
  const certificates = db
    .prepare<[], CertificateRow>(
      `SELECT point, slot, version, point_id AS pointId, device, wh, start_idx AS startIdx, start_wh AS startWh,
       end_idx AS endIdx, end_wh AS endWh, state, code FROM certificates ORDER BY point, slot, version`,
    )
    .all();
  const known = new Map<string, CertificateRow>();
  for (const c of certificates) {
    const what = `${c.point} ${new Date(c.slot * 1000).toISOString()} v${c.version}`;
    known.set(`${hex(c.pointId)}/${c.slot}/${c.version}`, c);
    expect(c.slot % HOUR, what).toBe(0);
    expect(hex(c.pointId), what).toBe(keccak256(toBytes(c.point)).slice(2));
    expect(['ready', 'refused'], what).toContain(c.state);
    expect(c.code !== null, `${what}: refused, and why`).toBe(c.state === 'refused');
    if (c.state === 'refused') continue;
    const device = devices.get(c.device) as DeviceRow;
    expect(device, what).toMatchObject({ sub: c.point, custody: 'device' });
    expect(['plant', 'storage'], what).toContain(device.kind);
    for (const [idx, wh, hour] of [
      [c.startIdx, c.startWh, c.slot],
      [c.endIdx, c.endWh, c.slot + HOUR],
    ] as const) {
      const envelope = read(idx);
      if (!envelope) continue;
      expect(envelope, what).toMatchObject({ iss: device.did, sub: c.point });
      expect(registerAt(envelope, hour), `${what}: the register at ${hour} in entry ${idx}`).toBe(wh);
    }
    const fell = c.endWh < c.startWh;
    if (fell) expect(device.modulusWh, `${what}: a register that fell`).toBeGreaterThan(c.startWh);
    expect(c.wh, what).toBe(c.endWh - c.startWh + (fell ? (device.modulusWh as number) : 0));
    expect(c.wh, `${what}: more than it can give`).toBeLessThanOrEqual(
      Math.floor(((device.capacityW ?? 0) * 105) / 100),
    );
  }
  checkTotals(db, certificates, devices);
  return { ...checkEvents(db, known, carried), refused: countRefused(db, certificates) };
}

/** Of each device, all its minted hours together are no more than its register has gone up by, by all it ever signed. */
function checkTotals(
  db: Database.Database,
  certificates: readonly CertificateRow[],
  devices: ReadonlyMap<number, DeviceRow>,
): void {
  const isMinted = db.prepare<[Uint8Array, number, number]>(
    "SELECT 1 FROM credit_events WHERE event = 'Minted' AND point = ? AND slot = ? AND version = ?",
  );
  const newest = new Map<string, CertificateRow>();
  for (const c of certificates) if (isMinted.get(c.pointId, c.slot, c.version)) newest.set(`${c.point} ${c.slot}`, c);
  for (const [id, minted] of Map.groupBy(newest.values(), (c) => c.device)) {
    const readings: [at: number, register: number][] = [];
    for (const { envelope } of db
      .prepare<[number], { envelope: Uint8Array }>('SELECT envelope FROM entries WHERE device = ?')
      .iterate(id)) {
      if (envelope.length === 0) return; // what was pruned can't be added up
      const { records, iat } = decodeEnvelope(new Uint8Array(envelope));
      if (records.length === 25) for (const r of records) readings.push([r.t as number, r.v as number]);
      else if (records[0]?.n === REGISTER) readings.push([iat, records[0].v as number]);
    }
    readings.sort(([a, x], [b, y]) => a - b || x - y);
    const modulus = devices.get(id)?.modulusWh;
    let shown = 0;
    for (const [i, [, register]] of readings.entries()) {
      const step = register - (readings[i - 1]?.[1] ?? register);
      if (step > 0) shown += step;
      else if (step < 0 && modulus) shown += step + modulus;
    }
    const sum = minted.reduce((total, c) => total + c.wh, 0);
    expect(sum, `${devices.get(id)?.did}: minted of it`).toBeLessThanOrEqual(shown);
  }
}

/** What the chain says, as it was followed. */
function checkEvents(
  db: Database.Database,
  known: ReadonlyMap<string, CertificateRow>,
  carried: boolean,
): Omit<CreditTruth, 'refused'> {
  const events = db
    .prepare<[], EventRow>(
      `SELECT block, log_index AS logIndex, event, point, slot, version, wh, data FROM credit_events
       WHERE point IS NOT NULL ORDER BY block, log_index, part`,
    )
    .all();
  /** By point and slot: what stands, and what of all its versions is claimed. */
  const slots = new Map<string, { version: number; wh: number }>();
  const claimed = new Map<string, number>();
  const versions = new Map<string, number>();
  const residuals: { point: string; from: number; until: number }[] = [];
  /** By event: what was certified, and what the owner got. */
  const mints = new Map<string, { certified: number; got: number; debited: number }>();
  for (const e of events) {
    const point = hex(e.point);
    const slot = `${point}/${e.slot}`;
    const day = `${point}/${e.slot - (e.slot % DAY)}`;
    const what = `${e.event} of ${slot} in block ${e.block}`;
    if (e.event === 'Minted') {
      expect(slots.has(slot), `${what}: certified twice`).toBe(false);
      expect(e.version, what).toBe(versions.get(day) ?? 0);
      slots.set(slot, { version: e.version, wh: e.wh });
      const certificate = known.get(`${slot}/${e.version}`);
      if (!carried) expect(certificate, `${what}: no certificate is known`).toBeDefined();
      const key = `${e.block}/${e.logIndex}`;
      const mint = mints.get(key) ?? {
        certified: 0,
        got: 0,
        debited: Number((JSON.parse(e.data) as { debited: number | string }).debited),
      };
      mint.certified += certificate?.wh ?? e.wh;
      mint.got += e.wh;
      mints.set(key, mint);
    } else if (e.event === 'Withdrawn') {
      expect(e.version, what).toBe((versions.get(day) ?? 0) + 1);
      versions.set(day, e.version);
      for (let s = e.slot; s < e.slot + DAY; s += HOUR) slots.delete(`${point}/${s}`);
    } else if (e.event === 'ClaimSingle') claimed.set(slot, (claimed.get(slot) ?? 0) + e.wh);
    else if (e.event === 'ResidualMinted') {
      const { from, until } = JSON.parse(e.data) as { from: number; until: number };
      residuals.push({ point, from, until });
    }
  }
  for (const [key, { certified, got, debited }] of mints)
    if (!carried)
      expect(got, `mint ${key}: what the owner got is what was certified, less debts`).toBe(certified - debited);
  for (const { point, from, until } of residuals)
    for (let s = from; s < until; s += HOUR)
      expect(slots.has(`${point}/${s}`), `${point}/${s}: in a residual and certified`).toBe(false);
  if (versions.size === 0)
    // Claims of residuals are of months, and those of the market's buyers are of these very slots.
    for (const [slot, wh] of claimed)
      if (slots.has(slot)) expect(wh, `${slot}: claimed`).toBeLessThanOrEqual(slots.get(slot)?.wh as number);
  const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);
  return {
    minted: slots.size,
    mintedWh: sum([...slots.values()].map(({ wh }) => wh)),
    claimedWh: sum(claimed.values()),
  };
}

/** What is refused is not minted. */
function countRefused(db: Database.Database, certificates: readonly CertificateRow[]): number {
  const minted = db.prepare<[Uint8Array, number, number]>(
    "SELECT 1 FROM credit_events WHERE event = 'Minted' AND point = ? AND slot = ? AND version = ?",
  );
  return certificates.filter((c) => c.state === 'refused' && !minted.get(c.pointId, c.slot, c.version)).length;
}

/**
 * The hours of a device that its own readings show energy of, by the first reading near each full hour.
 * @param label what its label begins with
 * @returns the slots that it shows energy of, and those that are minted; Unix seconds, in their order
 */
export function hoursOf(dataFolder: string, label: string): { shown: number[]; minted: number[] } {
  const db = new Database(join(dataFolder, 'edge.db'), { readonly: true });
  try {
    const device = db
      .prepare<[string], { id: number; sub: string; modulusWh: number | null }>(
        'SELECT id, sub, register_modulus_wh AS modulusWh FROM devices WHERE label LIKE ?',
      )
      .get(`${label}%`);
    if (!device) throw new Error(`no device is called ${label}`);
    const registers = new Map<number, number>();
    for (const { envelope } of db
      .prepare<[number], { envelope: Uint8Array }>('SELECT envelope FROM entries WHERE device = ? ORDER BY idx')
      .iterate(device.id)) {
      const read = decodeEnvelope(new Uint8Array(envelope));
      const first = read.records.length === 25 ? (read.records[0]?.t as number) : Math.round(read.iat / HOUR) * HOUR;
      for (let at = first; at <= first + (read.records.length === 25 ? DAY : 0); at += HOUR) {
        const register = registerAt(read, at);
        if (register !== undefined && !registers.has(at)) registers.set(at, register);
      }
    }
    const shown = [...registers].flatMap(([at, from]) => {
      const until = registers.get(at + HOUR);
      return until === undefined || until === from ? [] : [at];
    });
    const minted = db
      .prepare<[Uint8Array], number>(
        "SELECT slot FROM credit_events WHERE event = 'Minted' AND point = ? ORDER BY slot",
      )
      .pluck()
      .all(toBytes(keccak256(toBytes(device.sub)))) as number[];
    return { shown: shown.sort((a, b) => a - b), minted };
  } finally {
    db.close();
  }
}

type MintedArgs = {
  id: bigint;
  meteringPoint: Hex;
  firstSlot: number;
  minted: bigint;
  debited: bigint;
  startRegister: bigint;
  endRegister: bigint;
  amounts: readonly bigint[];
};
type ClaimArgs = { id: bigint; value: bigint };
type DayArgs = { meteringPoint: Hex; day: number };

/**
 * The contract's own events, read here from the chain as it is: they are what was followed, each certified hour is the
 * difference of two registers in the log, and none was certified twice.
 * @returns what they add up to
 */
export async function checkCreditsOnChain(
  dataFolder: string,
  client: PublicClient,
  credits: Hex,
): Promise<{ certificates: number; mintedWh: number; claims: number }> {
  const url = new URL('../../contracts/artifacts/Credits.json', import.meta.url);
  const { abi } = JSON.parse(readFileSync(url, 'utf8')) as { abi: Abi };
  const db = new Database(join(dataFolder, 'edge.db'), { readonly: true });
  try {
    const certificateOf = db.prepare<[Uint8Array, number, number], { wh: number; startWh: number; endWh: number }>(
      `SELECT wh, start_wh AS startWh, end_wh AS endWh FROM certificates
       WHERE point_id = ? AND slot = ? AND version = ? AND state = 'ready'`,
    );
    const rowOf = db.prepare<[number, number, number], { wh: number; event: string }>(
      'SELECT wh, event FROM credit_events WHERE block = ? AND log_index = ? AND slot = ?',
    );
    const followed = db.prepare<[string], { n: number }>('SELECT count(*) AS n FROM credit_events WHERE event = ?');
    const taken = new Map<string, number>();
    let [parts, claims, tokens] = [0, 0, 0n];
    for (const log of await client.getLogs({ address: credits, fromBlock: 0n, toBlock: 'latest' })) {
      const { eventName, args } = decodeEventLog({ abi, topics: log.topics, data: log.data }) as unknown as {
        eventName: string;
        args: unknown;
      };
      const what = `${eventName} in block ${log.blockNumber}`;
      if (eventName === 'Withdrawn') {
        const { meteringPoint, day } = args as DayArgs;
        for (let h = 0; h < 24; h++) taken.delete(`${meteringPoint}/${day * DAY + h * HOUR}`);
      }
      if (eventName === 'ClaimSingle') {
        claims++;
        expect((args as ClaimArgs).value, what).toBeGreaterThan(0n);
      }
      if (eventName === 'ResidualMinted') tokens += (args as MintedArgs).minted - (args as MintedArgs).debited;
      if (eventName !== 'Minted') continue;
      const a = args as MintedArgs;
      let certified = 0n;
      for (const [i, lane] of a.amounts.flatMap((w) => lanesOf(w)).entries()) {
        if (lane === 0n) continue;
        const slot = a.firstSlot + i * HOUR;
        const wh = lane & 0x7fffffffn;
        certified += wh;
        const key = `${a.meteringPoint}/${slot}`;
        expect(taken.has(key), `${what}: ${key} was certified before`).toBe(false);
        taken.set(key, Number(wh));
        const [isCertified, held] = (await client.readContract({
          ...{ address: credits, abi, functionName: 'slotOf', args: [a.meteringPoint, slot] },
        })) as [boolean, number];
        expect([isCertified, held], `${what}: ${key}`).toEqual([true, Number(wh)]);
        if (wh === 0n) continue;
        parts++;
        const certificate = certificateOf.get(toBytes(a.meteringPoint), slot, Number(a.id & 0xffn));
        expect(certificate?.wh, `${what}: the certificate of ${key}`).toBe(Number(wh));
        const row = rowOf.get(Number(log.blockNumber), log.logIndex as number, slot);
        expect(row?.event, `${what}: ${key} was followed`).toBe('Minted');
      }
      expect(certified, what).toBe(a.minted);
      tokens += a.minted - a.debited;
    }
    expect(followed.get('Minted')?.n).toBe(parts);
    expect(followed.get('ClaimSingle')?.n).toBe(claims);
    return { certificates: [...taken.values()].filter((wh) => wh > 0).length, mintedWh: Number(tokens), claims };
  } finally {
    db.close();
  }
}

/** Eight of 32 bits, from the highest on. */
const lanesOf = (word: bigint): bigint[] =>
  Array.from({ length: 8 }, (_, i) => (word >> BigInt(32 * (7 - i))) & 0xffffffffn);
