/**
 * A vehicle behind an ELM327: SAE J1979 services 01 and 09, values by COVESA VSS names.
 *
 * What makes a value believable, where the line to the adapter has no checksum:
 *   - form: whole lines of upper-case hexadecimal, a prompt, ISO-TP lengths and sequence, all lines of all control units;
 *   - content: service + 0x40 and the PID that was asked for, and exactly as many bytes as that PID has;
 *   - and since in all that one changed digit still makes another value: two answers in a row that are the same. Damage
 *     would have to hit the same digit in the same way twice: at one damaged byte in a hundred 30 * (0.01 / 255)^2, about
 *     once in 2 * 10^7 for a value of one byte, four times as often for the odometer. On a K-line or J1850 with headers
 *     the adapter shows the message's own checksum: there one answer does, since damage that cancels out is as rare.
 *   - A VIN that is known is confirmed by one answer that is the same.
 * A value that changes faster than it can be asked twice in ATTEMPTS is not in the reading: better none than a wrong one.
 */
import { Type } from 'typebox';
import { EdgeError } from '../../errors.ts';
import { ask, type DriverType, type Exchange, type Found, type Job, type Reading, type Setup } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { type Raw, recordsOf } from '../records.ts';
import { command, identity, protocolOf, settling, type Told, wordIn } from './elm.ts';
import { type Layout, layoutOf, type Message, messages } from './frames.ts';
import { doubtOf, endOf, isVin, VIN_PATTERN } from './vin.ts';

type Kind = 'unsigned' | 'signed' | 'percent' | 'vin';

type From = {
  request: string;
  bytes?: number;
  at?: number;
  size?: number;
  type?: Kind;
  offset?: number;
};
type Settings = { protocol: string; searchSeconds: number };
type Device = { vin?: string; ecu?: string };

/** How often one thing is asked before it counts as not to be had now. */
const ATTEMPTS = 8;
/** A command that sets something is asked for this often: whether it was obeyed shows later anyway. */
const SETTING_ATTEMPTS = 3;
/** A reset takes about a second: the adapter tests its lamps. */
const RESET_MS = 2000;

const VIN = '0902';

/** SAE J1979-DA: bytes of answer after the PID, for service 01. Only those that are the same in all vehicles. */
const LENGTHS: Readonly<Record<number, number>> = Object.fromEntries([
  ...[0x04, 0x05, 0x0b, 0x0d, 0x0e, 0x0f, 0x11, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x33].map((pid) => [pid, 1]),
  ...[0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x51, 0x52, 0x5a, 0x5b, 0x5c, 0x61, 0x62].map((pid) => [pid, 1]),
  ...[0x03, 0x0c, 0x10, 0x1f, 0x21, 0x31, 0x32, 0x42, 0x43, 0x44, 0x4d, 0x4e, 0x5d, 0x5e, 0x63].map((pid) => [pid, 2]),
  ...[0x00, 0x01, 0x20, 0x40, 0x60, 0x80, 0xa0, 0xa6, 0xc0].map((pid) => [pid, 4]),
]);

const PERCENT_PIDS: readonly number[] = [0x04, 0x11, 0x2c, 0x2e, 0x2f, 0x45, 0x47, 0x4c, 0x52, 0x5a, 0x5b];

/** What a vehicle says to one request. `no-data`: no control unit has it now. */
type Answers = Message[] | 'no-data';

/** What is found when the adapter is set up, and holds until it starts again. */
type Session = {
  layout: Layout;
  echoes: boolean;
  /** PIDs of service 01 by control unit. */
  supported: ReadonlyMap<string, ReadonlySet<number>>;
  /** VINs that were told twice, joined: one for each control unit that has one. */
  vins: string | undefined;
  about: string;
};

/** The adapter has forgotten how it was set up: it lost its supply, or is in another vehicle now. */
class Restarted extends SerialFault {
  constructor() {
    super('no-value', 'the adapter has started again in the middle of it');
  }
}

const key = (answers: readonly Message[]): string =>
  answers
    .map(({ ecu, data }) => `${ecu}:${Buffer.from(data).toString('hex')}`)
    .sort()
    .join();

/** Nothing else comes of it than to wait and ask again. Away is not ours to handle. */
const isDamage = (error: unknown): error is SerialFault =>
  error instanceof SerialFault && (error.kind === 'corrupt' || error.kind === 'no-answer');

function* settle(): Generator<Exchange, void, unknown> {
  try {
    yield* ask(settling());
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
}

/** One command, or the fault of it, with nothing under way after it. */
function* once(text: string, timeoutMs?: number): Generator<Exchange, Told | SerialFault, unknown> {
  try {
    return yield* ask(command(text, timeoutMs));
  } catch (error) {
    if (!isDamage(error)) throw error;
    yield* settle();
    return error;
  }
}

// --- the adapter -----------------------------------------------------------------------------------------------------

/** Reset, and who it says it is. @throws SerialFault no-answer, corrupt, mismatch */
function* hello(attempts: number, timeoutMs: number): Generator<Exchange, string, unknown> {
  let fault = new SerialFault('mismatch', 'what answers is no ELM327');
  for (let i = 0; i < attempts; i++) {
    const told = yield* once('ATZ', timeoutMs);
    if (told instanceof SerialFault) {
      // Twice silent is not there: damage may have eaten one command, hardly two.
      if (told.kind === 'no-answer' && fault.kind === 'no-answer') throw told;
      fault = told;
    } else {
      const name = identity(told);
      if (name !== undefined) return name;
      yield* settle();
    }
  }
  throw fault;
}

/** @returns whether the adapter says OK; clones know only some commands, and some say OK to what they do not do */
function* setting(text: string): Generator<Exchange, { ok: boolean; echoes: boolean }, unknown> {
  let echoes = false;
  let unknown = 0;
  for (let i = 0; i < SETTING_ATTEMPTS && unknown < 2; i++) {
    const told = yield* once(text);
    if (told instanceof SerialFault) continue;
    echoes = told.echoed;
    if (told.lines.length === 1 && told.lines[0] === 'OK') return { ok: true, echoes };
    if (wordIn(told)?.means === 'unknown') unknown++;
    yield* settle();
  }
  return { ok: false, echoes };
}

/** What a line of a vehicle's answer must be: the service plus 0x40, the PID, and what belongs to it. */
function checked(request: string, heard: readonly Message[], bytes: number | undefined, layout: Layout): Message[] {
  const [service, pid] = Buffer.from(request, 'hex') as unknown as [number, number];
  const answers: Message[] = [];
  const parts = new Map<string, Uint8Array[]>();
  for (const { ecu, data } of heard) {
    // 7F: refused; 78: the answer is still to come. Another control unit may have it.
    if (data[0] === 0x7f && data.length === 3 && data[1] === service) continue;
    if (data[0] !== service + 0x40 || data[1] !== pid)
      throw new SerialFault('corrupt', `what came is no answer to ${request}`);
    if (request !== VIN) {
      if (data.length !== 2 + (bytes ?? 0)) throw new SerialFault('corrupt', `${request}: not ${bytes} bytes long`);
      answers.push({ ecu, data: data.subarray(2) });
    } else if (data.length === 7 && layout !== 'can11' && layout !== 'can29') {
      // Before CAN: five messages of four characters, numbered from 1, with three of filling before the first.
      const list = parts.get(ecu) ?? [];
      if (data[2] !== list.length + 1) throw new SerialFault('corrupt', 'a part of the VIN is missing');
      parts.set(ecu, [...list, data.subarray(3)]);
    } else if (data.length === 20 && data[2] === 1) answers.push({ ecu, data: data.subarray(3) });
    else throw new SerialFault('corrupt', 'the VIN is not 17 characters long');
  }
  for (const [ecu, list] of parts) {
    if (list.length !== 5) throw new SerialFault('corrupt', 'a part of the VIN is missing');
    answers.push({ ecu, data: Uint8Array.from(list.flatMap((part) => [...part]).slice(3)) });
  }
  // Some adapters show one answer twice. Two different ones of one control unit are none.
  const distinct = new Map(answers.map((answer) => [key([answer]), answer]));
  const list = [...distinct.values()];
  if (layout !== 'plain' && new Set(list.map(({ ecu }) => ecu)).size !== list.length)
    throw new SerialFault('corrupt', `one control unit gave two answers to ${request}`);
  return list;
}

/** Asks until it can be believed. @param pick what of the answers counts @param known believed at once, if the same */
function* believed(
  session: Pick<Session, 'layout' | 'echoes'>,
  request: string,
  bytes: number | undefined,
  options: { pick?: (answers: Message[]) => Message[]; known?: string | undefined; timeoutMs?: number } = {},
): Generator<Exchange, Answers, unknown> {
  const { pick = (answers) => answers, known, timeoutMs } = options;
  let before: string | undefined;
  let silent = 0;
  let fault = new SerialFault('no-value', `${request} changes faster than it can be asked twice`);
  for (let i = 0; i < ATTEMPTS; i++) {
    const told = yield* once(request, timeoutMs);
    if (told instanceof SerialFault) {
      fault = told;
      if (told.kind === 'no-answer' && ++silent > 1) throw told;
      continue;
    }
    if (told.echoed && !session.echoes) throw new Restarted();
    const word = wordIn(told);
    if (word !== undefined && word.means !== 'no-data') {
      fault = new SerialFault(word.kind, word.detail);
      if (word.means === 'over') throw fault;
      yield* settle();
      continue;
    }
    let answers: Answers = 'no-data';
    if (word === undefined) {
      try {
        answers = pick(checked(request, messages(told.lines, session.layout), bytes, session.layout));
        if (answers.length === 0) answers = 'no-data';
      } catch (error) {
        if (!(error instanceof SerialFault)) throw error;
        fault = error;
        yield* settle();
        continue;
      }
    }
    const now = answers === 'no-data' ? answers : key(answers);
    const ownChecksum = answers !== 'no-data' && (session.layout === 'sum' || session.layout === 'crc');
    if (now === before || now === known || ownChecksum) return answers;
    before = now;
  }
  throw fault;
}

/** The first request, which may make the adapter search: how answers look here. */
function* search(timeoutMs: number): Generator<Exchange, Layout, unknown> {
  let fault = new SerialFault('mismatch', 'the answer to 0100 has no form that is known');
  for (let i = 0; i < ATTEMPTS; i++) {
    const told = yield* once('0100', timeoutMs);
    if (told instanceof SerialFault) {
      fault = told;
      // A search was waited for to its end. It is not begun a second time in one poll.
      if (told.kind === 'no-answer') throw told;
      continue;
    }
    const word = wordIn(told);
    if (word?.means === 'over' || word?.means === 'no-data') throw new SerialFault(word.kind, word.detail);
    const layout = word === undefined ? layoutOf(told.lines) : undefined;
    if (layout !== undefined) return layout;
    if (word !== undefined) fault = new SerialFault(word.kind, word.detail);
    yield* settle();
  }
  throw fault;
}

/** The bitmaps 01 00, 01 20, ...: which control unit has which PID, as far as the highest one that is wanted. */
function* survey(
  session: Pick<Session, 'layout' | 'echoes'>,
  wanted: readonly number[],
): Generator<Exchange, Map<string, Set<number>>, unknown> {
  const supported = new Map<string, Set<number>>();
  const highest = Math.max(0, ...wanted);
  for (let base = 0; base <= highest; base += 0x20) {
    const announced = base === 0 || [...supported.values()].some((pids) => pids.has(base));
    if (!announced) break;
    const request = `01${hex2(base)}`;
    const answers = yield* believed(session, request, 4);
    if (answers === 'no-data') break;
    for (const { ecu, data } of answers) {
      const pids = supported.get(ecu) ?? new Set<number>();
      supported.set(ecu, pids);
      for (let bit = 0; bit < 32; bit++)
        if (((data[bit >>> 3] as number) >>> (7 - (bit & 7))) & 1) pids.add(base + bit + 1);
    }
  }
  return supported;
}

const hex2 = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');

function* start(settings: Settings, wanted: readonly number[]): Generator<Exchange, Session, unknown> {
  yield* settle();
  const name = yield* hello(3, RESET_MS);
  const lacks: string[] = [];
  let echoes = false;
  // Echo, line feeds, spaces off: less to carry. Headers on: whose answer it is. Adaptive timing: no waiting for nobody.
  for (const text of ['ATE0', 'ATL0', 'ATS0', 'ATH1', 'ATAT1', `ATSP${settings.protocol}`]) {
    const { ok, echoes: heard } = yield* setting(text);
    echoes = heard;
    if (!ok) lacks.push(text);
  }
  const layout = yield* search(settings.searchSeconds * 1000);
  // The echo after ATE0 was the first without, if it was obeyed. On a clone that never obeys it says nothing.
  const line = { layout, echoes };
  const supported = yield* survey(line, wanted);
  const told = yield* once('ATDPN');
  const protocol = told instanceof SerialFault ? undefined : protocolOf(told);
  const clone = lacks.length === 0 ? '' : `, a clone: it does not know ${lacks.join(', ')}`;
  const headers = layout === 'plain' ? ', shows no headers' : '';
  return {
    ...line,
    supported,
    vins: undefined,
    about: `${name}${clone}${headers}, ${protocol ?? 'protocol not told'}`,
  };
}

// --- one vehicle -----------------------------------------------------------------------------------------------------

type Item = { request: string; pid: number; bytes: number | undefined; from: From };

function itemOf(from: From): Item {
  const { request } = from;
  const service = request.slice(0, 2);
  const pid = Number.parseInt(request.slice(2), 16);
  const invalid = (why: string): EdgeError => new EdgeError('CONFIG_INVALID', `from: request ${request}: ${why}`);
  if (request === VIN) return { request, pid, bytes: undefined, from: { ...from, type: 'vin' } };
  if (from.type === 'vin') throw invalid('only 0902 tells a VIN');
  if (service !== '01') throw invalid('of service 09 only 0902, the VIN, is read');
  const known = LENGTHS[pid];
  const bytes = from.bytes ?? known;
  if (bytes === undefined) throw invalid('say how many bytes it has (bytes)');
  if (known !== undefined && bytes !== known) throw invalid(`it has ${known} bytes, not ${bytes}`);
  if ((from.at ?? 0) + (from.size ?? 1) > bytes) throw invalid(`at and size are beyond its ${bytes} bytes`);
  return { request, pid, bytes, from };
}

function rawOf({ from, pid }: Item, data: Uint8Array): Raw {
  const type = from.type ?? (PERCENT_PIDS.includes(pid) ? 'percent' : 'unsigned');
  const at = from.at ?? 0;
  const part = data.subarray(at, from.size === undefined ? data.length : at + from.size);
  let raw = 0n;
  for (const byte of part) raw = (raw << 8n) | BigInt(byte);
  if (type === 'signed') raw = BigInt.asIntN(8 * part.length, raw);
  // 100/255 is no decimal: to a tenth, which is finer than its steps of 0.39.
  if (type === 'percent') return Math.round((Number(raw) * 1000) / (2 ** (8 * part.length) - 1)) / 10;
  return raw + BigInt(from.offset ?? 0);
}

function create({ settings, device, values }: Setup<Settings, Device, From>) {
  const items = new Map(values.map(({ from }) => [from, itemOf(from)]));
  // The first value of the profile is asked for last: the reading's time is that of the last answer.
  const requests = [...new Map([...items.values()].map((item) => [item.request, item])).values()]
    .filter(({ request }) => request !== VIN)
    .reverse();
  const wanted = requests.map(({ pid }) => pid);
  const wantsVin = device.vin !== undefined || [...items.values()].some(({ request }) => request === VIN);
  let session: Session | undefined;
  let about: string | undefined;

  /** The VIN that counts, and what to think of it. @throws SerialFault mismatch where it is another one's */
  function* identify(now: Session): Generator<Exchange, { vin: string | undefined; doubt?: string }, unknown> {
    const answers = yield* believed(now, VIN, undefined, { known: now.vins });
    const heard = answers === 'no-data' ? answers : key(answers);
    // The adapter was moved, and kept its supply: what was found before is of another vehicle.
    if (now.vins !== undefined && now.vins !== heard) throw new Restarted();
    now.vins = heard;
    if (answers === 'no-data' && device.vin !== undefined)
      throw new SerialFault('exception', 'NO DATA to 0902: the vehicle tells no VIN now; is the ignition on?');
    const told = (answers === 'no-data' ? [] : [...answers])
      .sort((a, b) => (a.ecu < b.ecu ? -1 : 1))
      .map(({ ecu, data }) => ({ ecu, vin: Buffer.from(data).toString('latin1') }))
      .filter(({ vin }) => isVin(vin));
    const vin = (told.find(({ ecu }) => ecu === device.ecu) ?? told[0])?.vin;
    if (device.vin !== undefined && vin !== device.vin)
      throw new SerialFault(
        'mismatch',
        vin === undefined
          ? `the vehicle tells no VIN, so nothing says that it is the enrolled one (${endOf(device.vin)})`
          : `another vehicle: its VIN ends in ${endOf(vin)}, the enrolled one in ${endOf(device.vin)}`,
      );
    if (vin === undefined) return { vin };
    const doubt = told.some((other) => other.vin !== vin) ? 'control units tell different VINs' : doubtOf(vin);
    return doubt === undefined ? { vin } : { vin, doubt };
  }

  /** Of the control units that have it, always the same one: the configured one, or that with the lowest address. */
  const ecuOf = ({ supported }: Session, pid: number): string | undefined =>
    [...supported]
      .filter(([, pids]) => pids.has(pid))
      .map(([ecu]) => ecu)
      .sort()
      .find((ecu) => device.ecu === undefined || ecu === device.ecu);

  function* read(now: Session): Job {
    const identified: { vin: string | undefined; doubt?: string } = wantsVin
      ? yield* identify(now)
      : { vin: undefined };
    const heard = new Map<string, Uint8Array>();
    for (const item of requests) {
      const ecu = ecuOf(now, item.pid);
      if (ecu === undefined) continue;
      const required = values.some(({ required, from }) => required && from.request === item.request);
      try {
        const answers = yield* believed(now, item.request, item.bytes, {
          pick: (all) => all.filter((answer) => answer.ecu === ecu),
        });
        if (answers === 'no-data') {
          if (required) throw new SerialFault('exception', `NO DATA to ${item.request}: is the ignition on?`);
        } else if (answers.length > 1) {
          // Without headers nothing tells whose is which.
          const why = `several control units answer ${item.request} differently, and the adapter shows no headers`;
          if (required) throw new SerialFault('no-value', why);
        } else heard.set(item.request, (answers[0] as Message).data);
      } catch (error) {
        const leave = error instanceof SerialFault && ['corrupt', 'no-value'].includes(error.kind);
        if (required || !leave || error instanceof Restarted) throw error;
      }
    }
    const records = recordsOf(values, (from) => {
      if (from.request === VIN) return identified.vin;
      const data = heard.get(from.request);
      return data && rawOf(items.get(from) as Item, data);
    });
    const quality: Reading['quality'] = identified.doubt === undefined ? 'Good' : `Uncertain: ${identified.doubt}`;
    return [{ records, quality }];
  }

  return {
    reset() {
      session = undefined;
    },
    discovered: () => session !== undefined,
    about: () => about,
    *poll(): Job {
      for (let again = true; ; again = false) {
        try {
          session ??= yield* start(settings, wanted);
          about = session.about;
          return yield* read(session);
        } catch (error) {
          // Damage is of the line; anything else may be of an adapter or a vehicle that is not as it was.
          if (!(error instanceof SerialFault) || error.kind !== 'corrupt') session = undefined;
          if (!(error instanceof Restarted) || !again) throw error;
        }
      }
    },
  };
}

// --- what it is to the gateway ---------------------------------------------------------------------------------------

/** Names that adapters of this kind give themselves. */
const ADAPTER = /ELM|OBD|STN|LINK|VGATE|SCAN/i;
const PROBE_RESET_MS = 1500;
const PROBE_SEARCH_MS = 12_000;

function* probe(): Generator<Exchange, Found[], unknown> {
  const found = (device: Record<string, unknown>, about: string): Found[] => [
    { profile: 'vehicle-obd', device, about },
  ];
  let name: string;
  try {
    name = yield* hello(2, PROBE_RESET_MS);
  } catch (error) {
    if (error instanceof SerialFault && error.kind !== 'away') return [];
    throw error;
  }
  if (!ADAPTER.test(name)) return [];
  try {
    for (const text of ['ATE0', 'ATS0', 'ATH1', 'ATSP0']) yield* setting(text);
    const layout = yield* search(PROBE_SEARCH_MS);
    const answers = yield* believed({ layout, echoes: true }, VIN, undefined);
    const told = yield* once('ATDPN');
    const protocol = (told instanceof SerialFault ? undefined : protocolOf(told)) ?? 'a protocol that it does not tell';
    const vins = answers === 'no-data' ? [] : answers.map(({ data }) => Buffer.from(data).toString('latin1'));
    const vin = vins.find(isVin);
    return found(vin === undefined ? {} : { vin }, `${name}, ${protocol}`);
  } catch (error) {
    if (!(error instanceof SerialFault) || error.kind === 'away') throw error;
    return found({}, `${name}; of the vehicle nothing yet: ${error.detail}`);
  }
}

const closed = { additionalProperties: false };

export const obd: DriverType<Settings, Device, From> = {
  says: 'a vehicle by its OBD-II socket and an ELM327 adapter (SAE J1979 services 01 and 09)',
  media: ['tty', 'tcp'],
  line: { baudRate: 38400, dataBits: 8, parity: 'none', stopBits: 1 },
  settings: Type.Object(
    {
      protocol: Type.String({
        pattern: '^[0-9A-C]$',
        default: '0',
        description: "The adapter's number of the vehicle's protocol (AT SP); 0 searches.",
      }),
      searchSeconds: Type.Integer({
        minimum: 1,
        maximum: 60,
        default: 20,
        description: 'How long the search for the protocol may take, s.',
      }),
    },
    closed,
  ),
  device: Type.Object(
    {
      vin: Type.Optional(
        Type.String({
          pattern: VIN_PATTERN,
          description: 'The VIN of the enrolled vehicle. Another one gives no reading.',
        }),
      ),
      ecu: Type.Optional(
        Type.String({
          pattern: '^(7E[89A-F]|18DAF1[0-9A-F]{2}|[0-9A-F]{2})$',
          description:
            'The control unit that is read, as headers show it (7E8). Default: the lowest one that has the value.',
        }),
      ),
    },
    closed,
  ),
  from: Type.Object(
    {
      request: Type.String({
        pattern: '^(01[0-9A-F]{2}|0902)$',
        description: 'Service and PID, as they are asked for: 010D.',
      }),
      bytes: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 32, description: 'Bytes of the answer, where SAE J1979 leaves it open.' }),
      ),
      at: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 31, description: 'The first byte of the value. Default 0.' }),
      ),
      size: Type.Optional(Type.Integer({ minimum: 1, maximum: 8, description: 'Bytes of the value. Default: all.' })),
      type: Type.Optional(
        Type.Union([Type.Literal('unsigned'), Type.Literal('signed'), Type.Literal('percent'), Type.Literal('vin')], {
          description: 'percent: all bits set are 100. Default: as SAE J1979 has the PID.',
        }),
      ),
      offset: Type.Optional(
        Type.Integer({
          minimum: -100_000,
          maximum: 100_000,
          description: 'Added before the scale: -40 for temperatures.',
        }),
      ),
    },
    closed,
  ),
  create,
  probe: {
    lines: [38400, 9600, 115200].map((baudRate) => ({ baudRate, dataBits: 8, parity: 'none', stopBits: 1 })),
    ask: probe,
  },
};
