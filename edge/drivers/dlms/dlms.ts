/**
 * DLMS/COSEM, asked for (IEC 62056-46, -53, -61, -62; DLMS UA Green and Blue Book): registers, and the load profile
 * where the profile file wants it. One session each poll. Nothing is ever written to a meter, and the one action
 * that is asked for is the proof of high security.
 */
import { type Static, Type } from 'typebox';
import { EdgeError } from '../../errors.ts';
import type { DriverType, Exchange, Found, Job, LineFormat, PolledDriver, Reading, Setup } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import type { Data } from './axdr.ts';
import { decodeDateTime, isDated, type Moment } from './clock.ts';
import { addressOf, PullDevice, passwordOf, securityOf } from './device.ts';
import { type Attribute, CLOCK, type Result } from './get.ts';
import { encodeAddress } from './hdlc.ts';
import { HdlcLink } from './link.ts';
import { type Column, columnsOf, rowsOf } from './load-profile.ts';
import { type From, FromSchema, type Point, pointsOf, recordFrom, type Scaler, scalerOf, timeOf } from './objects.ts';
import { refusal, Session } from './session.ts';
import { parseObis } from './words.ts';

const Settings = Type.Object(
  {
    informationBytes: Type.Optional(
      Type.Integer({
        minimum: 32,
        maximum: 2000,
        description:
          'The longest information field of a frame that is asked for; the meter may want less. Without it 128.',
      }),
    ),
    loadProfile: Type.Optional(
      Type.Object(
        {
          obis: Type.String({ description: 'The load profile, mostly 1-0:99.1.0.' }),
          historyHours: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 8784,
              description: 'How far back the first poll goes. Without it 24.',
            }),
          ),
          entriesPerPoll: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 1000,
              description: 'At most so many entries in a poll. Without it 96.',
            }),
          ),
        },
        { additionalProperties: false, description: 'Each entry of it becomes a reading, dated by the meter’s clock.' },
      ),
    ),
  },
  { additionalProperties: false },
);
type Settings = Static<typeof Settings>;

/** COSEM logical device name (Blue Book clause 4.4.2.2): who it is that answers. */
const DEVICE_NAME: Attribute = { class: 1, obis: Uint8Array.of(0, 0, 42, 0, 0, 255), attribute: 2 };
const CLOCK_TIME: Attribute = { class: 8, obis: CLOCK, attribute: 2 };
/** Ranges of a load profile without an entry that one poll goes through: a meter that was off for months. */
const MAX_EMPTY_RANGES = 50;
/** Of a counter that an unauthenticated answer names: a liar shall not use ours up. */
const MAX_COUNTER_SEEN = 0x7fff_ffff;

type LoadProfile = { at: Attribute; columns: Column[]; periodSeconds: number };
type Known = { name: string; points: Point[]; scalers: Map<Point, Scaler>; profile: LoadProfile | undefined };

class DlmsMeter implements PolledDriver {
  readonly #setup: Setup<Settings, PullDevice, From>;
  readonly #server: Uint8Array;
  readonly #client: Uint8Array;
  readonly #points: Point[];
  readonly #password: Uint8Array | undefined;
  readonly #security: ReturnType<typeof securityOf>;
  #known: Known | undefined;
  #about: string | undefined;
  #counterSeen: number | undefined;
  /** It answered the last time. */
  #well = false;
  /** Up to here nothing is in the load profile, though there is no entry to keep it with. */
  #emptyTo = 0;

  constructor(setup: Setup<Settings, PullDevice, From>) {
    this.#setup = setup;
    this.#server = addressOf(setup.device);
    this.#client = encodeAddress({ upper: setup.device.client ?? 16 }, 1);
    this.#password = passwordOf(setup);
    this.#security = securityOf(setup);
    try {
      this.#points = pointsOf(setup.values);
    } catch (error) {
      throw new EdgeError('CONFIG_INVALID', `values: ${(error as Error).message}`);
    }
    if (setup.settings.loadProfile && !parseObis(setup.settings.loadProfile.obis))
      throw new EdgeError(
        'CONFIG_INVALID',
        `settings.loadProfile.obis: ${setup.settings.loadProfile.obis} is no OBIS code`,
      );
  }

  reset(): void {
    this.#known = undefined;
  }
  discovered(): boolean {
    return this.#known !== undefined;
  }
  about(): string | undefined {
    return this.#about;
  }

  *poll(): Job {
    const link = new HdlcLink(this.#server, this.#client, this.#setup.settings.informationBytes ?? 128);
    const session = new Session(link, this.#password, this.#security, this.#counterSeen);
    let readings: Reading[];
    try {
      // One that answered the last time has perhaps not heard: a bad line is no dead meter.
      yield* session.open(this.#well ? 4 : 1);
      readings = yield* this.#read(session);
      this.#well = true;
    } catch (error) {
      if (error instanceof SerialFault && error.kind === 'no-answer') this.#well = false;
      // A meter that is there keeps the line else until it tires of waiting.
      if (error instanceof SerialFault && !['away', 'no-answer', 'late'].includes(error.kind)) yield* session.close();
      throw error;
    } finally {
      const seen = session.counterSeen;
      if (seen !== undefined && seen <= MAX_COUNTER_SEEN) this.#counterSeen = Math.max(seen, this.#counterSeen ?? 0);
    }
    yield* session.close();
    const counters = this.#security?.counters.marks() ?? {};
    return readings.map((reading) => ({ ...reading, marks: { ...counters, ...reading.marks } }));
  }

  *#read(session: Session): Generator<Exchange, Reading[], unknown> {
    const [name, clock] = yield* session.getAll([DEVICE_NAME, CLOCK_TIME]);
    const deviceName = nameOf(name);
    if (this.#known !== undefined && this.#known.name !== deviceName) this.#known = undefined;
    this.#known ??= yield* this.#discover(session, deviceName);
    const { points, scalers, profile } = this.#known;

    const past = profile ? yield* this.#history(session, profile, scalers, clock) : undefined;
    // What is older comes first, and all of it, before what is now.
    if (past?.more) return past.readings;
    const attributes = points.flatMap(({ at, timeAt }) => (timeAt ? [at, timeAt] : [at]));
    const results = yield* session.getAll(attributes);
    let i = 0;
    const records = points.flatMap((point) => {
      const result = results[i++] as Result;
      const captured = point.timeAt ? results[i++] : undefined;
      if ('refused' in result) {
        if (point.value.required || point.value.billed) throw refusal(point.at, result.refused);
        return [];
      }
      const t = captured && 'data' in captured ? timeOf(captured.data) : undefined;
      return recordFrom(point.value, result.data, scalers.get(point), t) ?? [];
    });
    if (records.length === 0 && past === undefined)
      throw new SerialFault('no-value', 'the meter has none of the values of its profile now');
    const quality: Reading['quality'] = past?.undated
      ? `Uncertain: the load profile is not dated, ${past.undated}`
      : 'Good';
    return [...(past?.readings ?? []), ...(records.length > 0 ? [{ records, quality }] : [])];
  }

  *#discover(session: Session, name: string): Generator<Exchange, Known, unknown> {
    const scaled = this.#points.filter((point) => point.scalerAt !== undefined);
    const results = yield* session.getAll(scaled.map(({ scalerAt }) => scalerAt as Attribute));
    const scalers = new Map<Point, Scaler>();
    const absent = new Set<Point>();
    for (const [i, point] of scaled.entries()) {
      const result = results[i] as Result;
      if ('data' in result) scalers.set(point, scalerOf(point.value, result.data));
      else if (point.value.required || point.value.billed) throw refusal(point.scalerAt as Attribute, result.refused);
      else absent.add(point);
    }
    const points = this.#points.filter((point) => !absent.has(point));
    const obis = this.#setup.settings.loadProfile && parseObis(this.#setup.settings.loadProfile.obis);
    let profile: LoadProfile | undefined;
    if (obis) {
      const columns = columnsOf(yield* session.get({ class: 7, obis, attribute: 3 }), points);
      const period = yield* session.get({ class: 7, obis, attribute: 4 });
      const periodSeconds = period.type === 'integer' ? Number(period.value) : 0;
      profile = { at: { class: 7, obis, attribute: 2 }, columns, periodSeconds };
    }
    this.#about = `a DLMS meter${name === '' ? '' : `, ${name}`}, ${points.length} of ${this.#points.length} values`;
    return { name, points, scalers, profile };
  }

  /** New entries, from the one after the cursor on; `more`: there may be others still. */
  *#history(
    session: Session,
    { at, columns, periodSeconds }: LoadProfile,
    scalers: ReadonlyMap<Point, Scaler>,
    clock: Result | undefined,
  ): Generator<Exchange, { readings: Reading[]; more: boolean; undated: string | undefined }, unknown> {
    const now = momentOf(clock);
    if ('why' in now) return { readings: [], more: false, undated: now.why };
    const { historyHours = 24, entriesPerPoll = 96 } = this.#setup.settings.loadProfile ?? {};
    const cursor = this.#setup.mark('cursor') ?? now.t - historyHours * 3600 - 1;
    // A clock that was set back makes no entry that is new.
    let from = Math.max(cursor, Math.min(this.#emptyTo, now.t));
    let undated: string | undefined;
    for (let empty = 0; empty < MAX_EMPTY_RANGES; empty++) {
      if (from + periodSeconds > now.t) return { readings: [], more: false, undated };
      const span = session.selective && periodSeconds > 0 ? entriesPerPoll * periodSeconds : Number.POSITIVE_INFINITY;
      const to = Math.min(from + span, now.t);
      const range = { from: { ...now, t: from + 1 }, to: { ...now, t: to } };
      const buffer = yield* session.get(session.selective ? { ...at, range } : at);
      const found = rowsOf(buffer, columns, scalers, periodSeconds);
      undated ??= found.undated;
      const fresh = found.rows.filter(({ t }, i, rows) => t > cursor && t <= now.t && t !== rows[i - 1]?.t);
      if (fresh.length > 0) {
        const some = fresh.slice(0, entriesPerPoll);
        const readings = some.map(({ t, records }): Reading => ({ records, quality: 'Good', marks: { cursor: t } }));
        return { readings, more: some.length < fresh.length || to < now.t, undated };
      }
      from = to;
      // The newest may still be written.
      this.#emptyTo = Math.max(this.#emptyTo, Math.min(to, now.t - 2 * periodSeconds));
    }
    return { readings: [], more: true, undated };
  }
}

function nameOf(result: Result | undefined): string {
  const data: Data | undefined = result && 'data' in result ? result.data : undefined;
  const text =
    data?.type === 'octets' ? Buffer.from(data.value).toString('latin1') : data?.type === 'text' ? data.value : '';
  return text.replace(/[^\x20-\x7e]/g, '').slice(0, 40);
}

function momentOf(result: Result | undefined): Moment | { why: string } {
  if (result === undefined || 'refused' in result) return { why: 'the meter does not tell its clock' };
  if (result.data.type !== 'octets') return { why: 'the meter’s clock is of another type' };
  const moment = decodeDateTime(result.data.value);
  return isDated(moment) ? moment : { why: `the meter’s clock: ${moment.why}` };
}

export const LINE: LineFormat = { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 };

/** SNRM to the addresses that meters mostly have; a UA, or a DM, is a meter. */
function* probe(): Generator<Exchange, Found[], unknown> {
  const found: Found[] = [];
  for (const address of ['1', '1/1', '1/16', '1/17']) {
    const link = new HdlcLink(addressOf({ address }), encodeAddress({ upper: 16 }, 1), 128);
    try {
      yield* link.connect();
      yield* link.disconnect();
      found.push({ profile: 'meter-dlms', device: { address }, about: `a DLMS meter at ${address}` });
    } catch (error) {
      if (!(error instanceof SerialFault) || error.kind === 'away') throw error;
    }
  }
  return found;
}

export const dlms: DriverType<Settings, PullDevice, From> = {
  says: 'DLMS/COSEM over HDLC, asked for: registers, clock, load profile; low and high security (GMAC), suite 0',
  media: ['tty', 'tcp'],
  line: LINE,
  settings: Settings,
  device: PullDevice,
  from: FromSchema,
  create: (setup) => new DlmsMeter(setup),
  probe: { lines: [LINE, { ...LINE, baudRate: 115_200 }, { ...LINE, baudRate: 2400 }], ask: probe },
};
