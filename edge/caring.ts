/**
 * Living-alone care: of people who have asked for it, whether their day is like their own (care/grade.ts). Made of sealed
 * readings when somebody asks. A grade with the code of its reason is all that leaves; registers at full hours are in
 * memory, for as long as somebody is looked after, and nowhere else. A person decides, and the log says that one did.
 */
import { type Graded, gradeDay, REGISTERS } from './care/grade.ts';
import { type Line, registersAt, type Seen } from './care/history.ts';
import { EdgeError } from './errors.ts';
import { LOCAL, type People } from './people.ts';
import { type Cares, type Consent, type Decision, endCare, saveConsent, saveDecision } from './store/care.ts';
import type { Device, Devices } from './store/devices.ts';
import type { Entries, EntryRow } from './store/entries.ts';
import type { Person } from './tokens.ts';
import { decodeEnvelope } from './wire/envelope.ts';

/** Each has 1,465 numbers in memory. */
const MAX_SUBJECTS = 1000;
const HOUR_MS = 3_600_000;
/** A gap in the newest of so many hours may still be filled by what a meter sends late. */
const LATE_HOURS = 48;
const IMPORT_REGISTER = '1-0:1.8.0';

export type Subject = Graded & {
  did: string;
  sub: string;
  label: string | null;
  sinceMs: number;
  untilMs: number | null;
  /** The full hour up to which the day was looked at. */
  gradedMs: number;
  decision: Decision | null;
};
export type Verdict = Decision['decision'];

export type CaringOptions = {
  cares: Cares;
  devices: Devices;
  entries: Entries;
  people: Pick<People, 'act'>;
  isSealed: (kind: string) => boolean;
  billedOf: (kind: string) => string | undefined;
};

export class Caring {
  readonly #o: CaringOptions;
  /** Registers by Unix hour, of those who are looked after. */
  readonly #known = new Map<number, Map<number, number | null>>();
  /** One at a time looks into the log: many who ask at once cost no more than one. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: CaringOptions) {
    this.#o = options;
  }

  /** All who are looked after, in the order in which they asked for it. */
  list(): Promise<Subject[]> {
    return this.#inTurn(async () => {
      const found: Subject[] = [];
      for (const consent of await this.#current()) found.push(await this.#look(consent));
      return found;
    });
  }

  /**
   * @param consent who consented, when and how
   * @throws EdgeError DEVICE_UNKNOWN, CARE_UNFIT, CARE_FULL, STORE_UNAVAILABLE
   */
  begin(did: string, consent: string, untilMs: number | null, by: Person): Promise<Subject> {
    return this.#inTurn(async () => {
      const { devices, isSealed, billedOf, people } = this.#o;
      const device = devices.get(did);
      if (!device) throw new EdgeError('DEVICE_UNKNOWN', did);
      if (device.status !== 'active') throw new EdgeError('CARE_UNFIT', `${did} is ${device.status}`);
      if (!isSealed(device.kind)) throw new EdgeError('CARE_UNFIT', `readings of kind ${device.kind} are in the open`);
      if (billedOf(device.kind) !== IMPORT_REGISTER)
        throw new EdgeError('CARE_UNFIT', `kind ${device.kind} does not bill ${IMPORT_REGISTER}`);
      const now = Date.now();
      if (untilMs !== null && untilMs <= now) throw new EdgeError('CARE_UNFIT', 'untilMs has gone by');
      const current = await this.#current();
      if (current.some((row) => row.device === device.id))
        throw new EdgeError('CARE_UNFIT', `${did} is looked after already`);
      if (current.length >= MAX_SUBJECTS) throw new EdgeError('CARE_FULL', `${current.length} people`);
      const row: Consent = { device: device.id, sinceMs: now, untilMs, consent, madeBy: by.name };
      await people.act({ by, action: 'care.begin', on: did, detail: { consent, untilMs } }, (own) =>
        own.also([saveConsent(row)]),
      );
      return await this.#look(row);
    });
  }

  /** @throws EdgeError CARE_UNKNOWN, STORE_UNAVAILABLE */
  decide(did: string, decision: Verdict, note: string, by: Person): Promise<Subject> {
    return this.#inTurn(async () => {
      const consent = await this.#consentOf(did);
      const { grade } = await this.#look(consent);
      const row: Decision = { atMs: Date.now(), by: by.name, grade, decision, note };
      await this.#o.people.act({ by, action: 'care.decide', on: did, detail: { grade, decision } }, (own) =>
        own.also(saveDecision(consent.device, row)),
      );
      return await this.#look(consent);
    });
  }

  /** Consent is withdrawn: from now on nothing is looked at, and what was decided is destroyed. @throws EdgeError CARE_UNKNOWN */
  withdraw(did: string, by: Person): Promise<void> {
    return this.#inTurn(async () => {
      const { device } = await this.#consentOf(did);
      await this.#end(device, did, 'care.withdraw', by);
    });
  }

  async #consentOf(did: string): Promise<Consent> {
    const device = this.#o.devices.get(did);
    const found = device && (await this.#current()).find((row) => row.device === device.id);
    if (!found) throw new EdgeError('CARE_UNKNOWN', did);
    return found;
  }

  async #end(device: number, did: string, action: string, by: Person): Promise<void> {
    await this.#o.people.act({ by, action, on: did }, (own) => own.also(endCare(did)));
    this.#known.delete(device);
  }

  /** Those whose consent has not ended; where it has, that is carried out first. */
  async #current(): Promise<Consent[]> {
    const { cares, devices } = this.#o;
    const now = Date.now();
    const rows = cares.list();
    for (const { device, untilMs } of rows)
      if (untilMs !== null && untilMs <= now)
        await this.#end(device, (devices.byId(device) as Device).did, 'care.expire', LOCAL);
    const current = rows.filter(({ untilMs }) => untilMs === null || untilMs > now);
    // Also of those who were forgotten.
    for (const id of this.#known.keys()) if (!current.some(({ device }) => device === id)) this.#known.delete(id);
    return current;
  }

  async #look({ device: id, sinceMs, untilMs }: Consent): Promise<Subject> {
    const { devices, cares } = this.#o;
    const { did, sub, label } = devices.byId(id) as Device;
    const newest = Math.floor(Date.now() / HOUR_MS);
    const graded = gradeDay(await this.#registers(id, newest));
    return {
      did,
      sub,
      label,
      ...graded,
      sinceMs,
      untilMs,
      gradedMs: newest * HOUR_MS,
      decision: cares.decision(id) ?? null,
    };
  }

  async #registers(device: number, newest: number): Promise<(number | null)[]> {
    const known = this.#known.get(device) ?? new Map<number, number | null>();
    const hours = Array.from({ length: REGISTERS }, (_, i) => newest - (REGISTERS - 1) + i);
    const asked = hours.filter((hour) => {
      const before = known.get(hour);
      return before === undefined || (before === null && hour > newest - LATE_HOURS);
    });
    const found = await registersAt(
      this.#line(device),
      asked.map((hour) => hour * 3600),
    );
    this.#known.set(
      device,
      new Map(hours.map((hour) => [hour, known.get(hour) ?? found[asked.indexOf(hour)] ?? null])),
    );
    return hours.map((hour) => this.#known.get(device)?.get(hour) ?? null);
  }

  #line(device: number): Line {
    const { entries } = this.#o;
    return {
      from: ({ epoch, seq }) => seen(entries.fromCounter(device, epoch, seq, 1)[0]),
      last: (epoch) =>
        seen(epoch === undefined ? entries.latestOfDevice(device, 1)[0] : entries.lastOfEpoch(device, epoch)),
    };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function seen(row: EntryRow | undefined): Seen | undefined {
  if (!row) return undefined;
  const { epoch, seq } = row;
  if (row.leaf || row.forgotten) return { epoch, seq, iat: undefined, registerWh: undefined };
  const { iat, records } = decodeEnvelope(row.envelope);
  const register = records.find(({ n, u }) => n === IMPORT_REGISTER && u === 'Wh')?.v;
  return { epoch, seq, iat, registerWh: register };
}
