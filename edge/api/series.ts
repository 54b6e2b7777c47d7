/**
 * One value of a device over time, thinned here so that a page can draw a year of it. A device's entries are found by
 * its counter, which rises with its own time, so that no index by time is needed and intake pays for none.
 */
import Type, { type Static } from 'typebox';
import { EdgeError } from '../errors.ts';
import type { Entries, EntryRow } from '../store/entries.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import { parseTime, Time } from './entries.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Did, Ms, Nullable } from './views.ts';

const Name = Type.Object({ n: Type.String(), u: Nullable(Type.String()) });
export const SeriesView = Type.Object({
  name: Nullable(Type.String()),
  unit: Nullable(Type.String({ description: 'RFC 8428 section 12.1' })),
  names: Type.Array(Name, { description: 'Numbers that its newest entries tell' }),
  fromMs: Ms,
  toMs: Type.Integer({ description: 'Unix time in milliseconds, not included' }),
  entries: Type.Integer({ description: 'Entries that were read for it' }),
  sampled: Type.Boolean({
    description:
      'false: all entries of that time were read, and where they are thinned the least and the greatest of each stretch stay. true: there are too many, and points were picked evenly',
  }),
  points: Type.Array(Type.Array(Type.Number(), { minItems: 2, maxItems: 2 }), {
    description: '[Unix time in milliseconds, value], by the time of the reading',
  }),
});
export type SeriesView = Static<typeof SeriesView>;

const DAY_MS = 86_400_000;
/** With more entries than this in the time that is asked for, points are picked. */
const MAX_READ = 10_000;
/** Entries that are read before others have their turn. */
const SLICE = 100;
/** Of the newest entries, to learn what the device tells. */
const NEWEST = 20;
/** Below it a record's `t` is an offset to the time of the pack (RFC 8428 section 4.5.3). */
const RELATIVE = 2 ** 28;

export function seriesRoutes(server: Server, parts: ApiParts): void {
  const { devices, entries } = parts;
  let turn: Promise<unknown> = Promise.resolve();
  server.get(
    '/devices/:did/series',
    {
      ...needs('viewer'),
      schema: {
        summary: 'One value of a device over time, thinned',
        description:
          "By the device's own time. Values of sealed entries are shown, as /entries shows them; what is pruned or forgotten has none. Without name, only names are answered.",
        tags: ['devices'],
        security: bearer,
        params: Type.Object({ did: Did }),
        querystring: Type.Object(
          {
            name: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
            from: Type.Optional(Time),
            to: Type.Optional(Time),
            points: Type.Integer({ minimum: 2, maximum: 2000, default: 500, description: 'At most' }),
          },
          { additionalProperties: false },
        ),
        response: { 200: SeriesView },
      },
    },
    (request) => {
      const device = devices.get(request.params.did);
      if (!device) throw new EdgeError('DEVICE_UNKNOWN', request.params.did);
      const { name, from, to, points } = request.query;
      const asked = {
        ...{ device: device.id, name, points },
        fromMs: from === undefined ? undefined : parseTime(from),
        toMs: to === undefined ? undefined : parseTime(to),
      };
      // One after the other: however many ask, intake has every other turn.
      const done = turn.then(() => {
        if (request.raw.destroyed) throw new EdgeError('REQUEST_INVALID', 'nobody waits for it');
        return new Series(entries, asked).read();
      });
      turn = done.catch(() => undefined);
      return done;
    },
  );
}

type OfDevice = Pick<Entries, 'fromCounter' | 'latestOfDevice'>;
type Asked = {
  device: number;
  name: string | undefined;
  fromMs: number | undefined;
  toMs: number | undefined;
  points: number;
};
type Point = [ms: number, value: number];
/** An entry's place among those of its device: epoch and sequence as one number. */
type Key = bigint;
type Read = { key: Key; ms: number; records: readonly SenmlRecord[] };

const HALF = 2n ** 32n;
const LAST_KEY = 2n ** 64n - 1n;

export class Series {
  readonly #entries: OfDevice;
  readonly #asked: Asked;
  #unit: string | undefined;
  #reads = 0;

  constructor(entries: OfDevice, asked: Asked) {
    this.#entries = entries;
    this.#asked = asked;
  }

  async read(): Promise<SeriesView> {
    const { device, name, points, fromMs, toMs } = this.#asked;
    const newest = this.#entries.latestOfDevice(device, NEWEST).map(read);
    const to = toMs ?? (newest[0] ? newest[0].ms + 1 : (fromMs ?? 0) + DAY_MS);
    const from = fromMs ?? to - DAY_MS;
    const names = new Map<string, string | null>();
    for (const { records } of newest)
      for (const { n, u, v } of records) if (v !== undefined) names.set(n, names.get(n) ?? u ?? null);
    const found =
      name === undefined || from >= to ? { points: [], entries: 0, sampled: false } : await this.#between(from, to);
    return {
      ...{ name: name ?? null, unit: this.#unit ?? names.get(name ?? '') ?? null },
      names: Array.from(names, ([n, u]) => ({ n, u })),
      ...{ fromMs: from, toMs: to, entries: found.entries, sampled: found.sampled },
      points: thin(found.points, points),
    };
  }

  async #between(from: number, to: number): Promise<{ points: Point[]; entries: number; sampled: boolean }> {
    const first = await this.#find(from, 0n, LAST_KEY);
    const end = await this.#find(to, first?.key ?? 0n, LAST_KEY);
    const endKey = end?.key ?? LAST_KEY + 1n;
    const points: Point[] = [];
    if (!first || first.key >= endKey) return { points, entries: 0, sampled: false };
    let count = 0;
    for (let key = first.key; ; ) {
      const rows = this.#entries.fromCounter(this.#asked.device, Number(key / HALF), Number(key % HALF), SLICE);
      for (const row of rows) {
        const one = read(row);
        if (one.key >= endKey) return { points, entries: count, sampled: false };
        count++;
        this.#add(points, one, from, to);
        key = one.key + 1n;
      }
      if (rows.length < SLICE || key > LAST_KEY) return { points, entries: count, sampled: false };
      if (count >= MAX_READ) break;
      await others();
    }
    return { points: await this.#pick(first, endKey, from, to), entries: this.#reads, sampled: true };
  }

  /** An entry near each of so many times, evenly spaced. */
  async #pick(first: Read, endKey: Key, from: number, to: number): Promise<Point[]> {
    const points: Point[] = [];
    const step = (to - from) / this.#asked.points;
    let last = first;
    let leap = 1n;
    for (let i = 0; i < this.#asked.points; i++) {
      const at = from + i * step;
      const one = last.ms >= at ? last : await this.#find(at, last.key, endKey - 1n, { leap, untilMs: at + step });
      if (!one || one.key >= endKey) break;
      // Where there is none near it, the next one is the next point's, or that of one still to come.
      if (one.ms < at + step) this.#add(points, one, from, to);
      if (one.key > last.key) leap = one.key - last.key;
      last = one;
    }
    return points;
  }

  /**
   * The first entry from `low` up to `high` whose time is not before `ms`; or, with `untilMs`, any whose time is in
   * [ms, untilMs) where there is one. Leaps that double, the first one as given, then halves: at most 130 looks, and few
   * where the counter rises evenly. What a device left out (a boot begins at 2^32 times its number) is leapt over.
   */
  async #find(ms: number, low: Key, high: Key, near?: { leap: bigint; untilMs: number }): Promise<Read | undefined> {
    let below = low;
    let above = high + 1n;
    let leap = near?.leap ?? 1n;
    let found: Read | undefined;
    while (below < above) {
      const leapt = below + leap - 1n;
      const key = !found && leapt < above ? leapt : (below + above) / 2n;
      const one = this.#at(key);
      if (this.#reads % SLICE === 0) await others();
      if (one && one.ms < ms) {
        below = one.key + 1n;
        leap *= 2n;
      } else {
        above = key;
        if (one) found = one;
        if (near && one && one.ms < near.untilMs) break;
      }
    }
    return found;
  }

  /** The first entry from that place on. */
  #at(key: Key): Read | undefined {
    this.#reads++;
    const [row] = this.#entries.fromCounter(this.#asked.device, Number(key / HALF), Number(key % HALF), 1);
    return row && read(row);
  }

  #add(points: Point[], { ms, records }: Read, from: number, to: number): void {
    for (const { n, u, v, t } of records) {
      if (n !== this.#asked.name || v === undefined) continue;
      this.#unit ??= u;
      const at = t === undefined ? ms : t < RELATIVE ? ms + t * 1000 : t * 1000;
      if (at >= from && at < to) points.push([at, v]);
    }
  }
}

/** Of what is pruned or forgotten nothing but the time of receipt is known. */
function read(row: EntryRow): Read {
  const key = BigInt(row.epoch) * HALF + BigInt(row.seq);
  if (row.leaf || row.forgotten) return { key, ms: row.receivedMs, records: [] };
  const { iat, records } = decodeEnvelope(row.envelope);
  return { key, ms: iat * 1000, records };
}

/** In the order of time, each time once; of each stretch the least and the greatest. */
export function thin(points: readonly Point[], most: number): Point[] {
  const byTime = [...new Map(points).entries()].sort(([a], [b]) => a - b);
  if (byTime.length <= most) return byTime;
  const [start] = byTime[0] as Point;
  const [end] = byTime.at(-1) as Point;
  const stretches = Math.floor(most / 2);
  const width = (end - start) / stretches;
  const kept: Point[] = [];
  let at = 0;
  for (let i = 1; i <= stretches; i++) {
    let least: Point | undefined;
    let greatest: Point | undefined;
    for (; at < byTime.length; at++) {
      const point = byTime[at] as Point;
      if (i < stretches && point[0] >= start + i * width) break;
      if (!least || point[1] < least[1]) least = point;
      if (!greatest || point[1] > greatest[1]) greatest = point;
    }
    if (least && greatest)
      kept.push(...(least === greatest ? [least] : least[0] < greatest[0] ? [least, greatest] : [greatest, least]));
  }
  return kept;
}

const others = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
