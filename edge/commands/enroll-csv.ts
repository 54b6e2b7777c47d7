/** Enrolment of many devices from a CSV file (RFC 4180): all lines are checked before the first device is enrolled. */
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { EdgeError, errorLine } from '../errors.ts';
import { publicKeyFromDid } from '../wire/did.ts';
import type { Ask } from './remote.ts';

export const CSV_COLUMNS = [
  'kind',
  'sub',
  'did',
  'label',
  'owner',
  'capacityW',
  'energySource',
  'registerModulusWh',
] as const;
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_ROWS = 100_000;
/** Errors shown; the report has all. */
const MAX_SHOWN = 100;
const TELL_EVERY = 500;
const LENGTHS = { label: 256, owner: 256, energySource: 64, sub: 256 } as const;

type Line = { line: number; body: Body };
type Body = {
  kind: string;
  sub: string;
  custody: 'device' | 'gateway';
  did?: string;
  label?: string;
  owner?: string;
  capacityW?: number;
  energySource?: string;
  registerModulusWh?: number;
};
type Flaw = { line: number; error: string };
type Known = { did: string; kind: string; sub: string; custody: string; status: string };
type Result = 'enrolled' | 'would enrol' | 'kept' | 'failed';

export type CsvOptions = { file: string; dryRun: boolean; report: string | undefined };

/** @returns the exit code: 1 where a line is wrong, and then nothing was enrolled, or where one failed */
export async function enrollCsv(ask: Ask, { file, dryRun, report }: CsvOptions, stop: AbortSignal): Promise<number> {
  const { kinds } = await ask<{ kinds: string[] }>('/profiles');
  const { lines, flaws } = readLines(file, kinds);
  const total = lines.length + flaws.length;
  // Secrets go into the report and nowhere else.
  if (!dryRun && report === undefined && lines.some(({ body }) => body.custody === 'gateway'))
    throw new EdgeError('USAGE', 'lines without a did get a secret, which needs --report FILE to go to');
  if (report !== undefined && existsSync(report))
    throw new EdgeError('USAGE', `${report} is there already: it may hold secrets`);
  const { devices } = await ask<{ devices: Known[] }>('/devices');
  const plan = planOf(lines, devices, flaws);
  const out = report === undefined ? undefined : new Report(report);
  for (const { line, error } of flaws) out?.add(line, '', '', 'failed', '', error);
  flaws.sort((a, b) => a.line - b.line);
  for (const { line, error } of flaws.slice(0, MAX_SHOWN)) console.error(`${file}:${line}: ${error}`);
  if (flaws.length > MAX_SHOWN) console.error(`and ${flaws.length - MAX_SHOWN} lines more`);
  if (flaws.length > 0) {
    console.log(`lines     ${total}: ${flaws.length} are wrong, so nothing was enrolled`);
    return 1;
  }
  const counts: Record<Result, number> = { enrolled: 0, 'would enrol': 0, kept: 0, failed: 0 };
  for (const [n, { line, body, known }] of plan.entries()) {
    if (stop.aborted) break;
    const outcome = known ? { result: 'kept' as const, did: known } : await enrol(ask, body, dryRun);
    counts[outcome.result]++;
    if ('error' in outcome) console.error(`${file}:${line}: ${outcome.error}`);
    out?.add(
      line,
      outcome.did ?? '',
      body.sub,
      outcome.result,
      'secret' in outcome ? (outcome.secret ?? '') : '',
      'error' in outcome ? outcome.error : '',
    );
    if ((n + 1) % TELL_EVERY === 0) console.error(`${n + 1} of ${plan.length}`);
  }
  const done = Object.entries(counts).filter(([, n]) => n > 0);
  console.log(`lines     ${plan.length}: ${done.map(([result, n]) => `${n} ${result}`).join(', ') || 'nothing to do'}`);
  if (stop.aborted) console.log('stopped   the same command again goes on; give it another report');
  if (report !== undefined) console.log(`report    ${report}${counts.enrolled > 0 ? ': it may hold secrets' : ''}`);
  return counts.failed > 0 || stop.aborted ? 1 : 0;
}

type Outcome =
  | { result: 'enrolled'; did: string; secret?: string | undefined }
  | { result: 'would enrol'; did?: string | undefined }
  | { result: 'failed'; did?: string | undefined; error: string };

async function enrol(ask: Ask, body: Body, dryRun: boolean): Promise<Outcome> {
  if (dryRun) return { result: 'would enrol', did: body.did };
  try {
    const { device, secret } = await ask<{ device: { did: string }; secret?: string }>('/devices', body);
    return { result: 'enrolled', did: device.did, secret };
  } catch (error) {
    // Whoever cannot be asked at all will not answer the next line either.
    if (error instanceof EdgeError && ['USAGE', 'TOKEN_INVALID', 'ROLE_MISSING'].includes(error.code)) throw error;
    return { result: 'failed', did: body.did, error: errorLine(error) };
  }
}

/** @throws EdgeError CSV_INVALID where the file as a whole is none */
export function readLines(file: string, kinds: readonly string[]): { lines: Line[]; flaws: Flaw[] } {
  let rows: { record: Record<string, string>; info: { lines: number } }[];
  try {
    if (statSync(file).size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
    rows = parse(readFileSync(file, 'utf8'), {
      bom: true,
      columns: (names: string[]) => checkColumns(names.map((name) => name.trim())),
      info: true,
      trim: true,
      skip_empty_lines: true,
      max_record_size: 8192,
      to: MAX_ROWS + 1,
    }) as unknown as typeof rows;
  } catch (error) {
    throw new EdgeError('CSV_INVALID', `${file}: ${(error as Error).message}`);
  }
  if (rows.length > MAX_ROWS) throw new EdgeError('CSV_INVALID', `${file}: more than ${MAX_ROWS} lines`);
  const lines: Line[] = [];
  const flaws: Flaw[] = [];
  for (const { record, info } of rows)
    try {
      lines.push({ line: info.lines, body: bodyOf(record, kinds) });
    } catch (error) {
      flaws.push({ line: info.lines, error: error instanceof EdgeError ? error.detail : (error as Error).message });
    }
  return { lines, flaws };
}

function checkColumns(names: string[]): string[] {
  const unknown = names.find((name) => !CSV_COLUMNS.some((column) => column === name));
  if (unknown !== undefined) throw new Error(`column ${JSON.stringify(unknown)} is none of ${CSV_COLUMNS.join(', ')}`);
  for (const needed of ['kind', 'sub']) if (!names.includes(needed)) throw new Error(`there is no column ${needed}`);
  if (new Set(names).size < names.length) throw new Error('a column is there twice');
  return names;
}

function bodyOf(record: Record<string, string>, kinds: readonly string[]): Body {
  const given = Object.fromEntries(Object.entries(record).filter(([, value]) => value !== ''));
  const { kind = '', sub = '', did, capacityW, registerModulusWh } = given;
  if (!kinds.includes(kind)) throw new Error(`kind ${JSON.stringify(kind)} is none of ${kinds.join(', ')}`);
  if (!/^urn:[\x21-\x7e]+$/.test(sub)) throw new Error(`sub ${JSON.stringify(sub)} is not a URN`);
  for (const [name, most] of Object.entries(LENGTHS))
    if ((given[name]?.length ?? 0) > most) throw new Error(`${name} has more than ${most} characters`);
  if (did !== undefined) publicKeyFromDid(did);
  const watts = whole('capacityW', capacityW, 0, 1e12, 'watts');
  const modulus = whole('registerModulusWh', registerModulusWh, 1000, Number.MAX_SAFE_INTEGER, 'Wh from 1000 on');
  const { capacityW: _, registerModulusWh: __, ...texts } = given;
  return {
    ...texts,
    kind,
    sub,
    custody: did === undefined ? 'gateway' : 'device',
    ...(watts === undefined ? {} : { capacityW: watts }),
    ...(modulus === undefined ? {} : { registerModulusWh: modulus }),
  };
}

function whole(name: string, text: string | undefined, least: number, most: number, unit: string): number | undefined {
  if (text === undefined) return undefined;
  const n = Number(text);
  if (!Number.isInteger(n) || n < least || n > most)
    throw new Error(`${name} ${JSON.stringify(text)} is not whole ${unit}`);
  return n;
}

/** What is there already is kept, so that the same file may be given again; what contradicts it is a flaw. */
function planOf(lines: readonly Line[], devices: readonly Known[], flaws: Flaw[]): (Line & { known?: string })[] {
  const byDid = new Map(devices.map((device) => [device.did, device]));
  const key = ({ kind, sub }: { kind: string; sub: string }): string => `${kind} ${sub}`;
  const held = new Map(
    devices.filter((d) => d.custody === 'gateway' && d.status === 'active').map((device) => [key(device), device]),
  );
  const seen = new Map<string, number>();
  return lines.map(({ line, body }) => {
    const name = body.did ?? key(body);
    const before = seen.get(name);
    if (before !== undefined) flaws.push({ line, error: `${name} is on line ${before} already` });
    seen.set(name, line);
    const known = body.did === undefined ? held.get(key(body)) : byDid.get(body.did);
    if (known && key(known) !== key(body))
      flaws.push({ line, error: `${known.did} is enrolled already, as ${key(known)}` });
    return { line, body, ...(known ? { known: known.did } : {}) };
  });
}

/** CSV, mode 0600, on disk line by line: a secret that is lost cannot be had again. */
class Report {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    try {
      writeFileSync(path, 'line,did,sub,result,secret,error\n', { mode: 0o600, flag: 'wx' });
    } catch (error) {
      throw new EdgeError('USAGE', `cannot write ${path}: ${(error as Error).message}`);
    }
  }

  add(line: number, ...fields: string[]): void {
    const quoted = fields.map((field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field));
    appendFileSync(this.#path, `${[line, ...quoted].join(',')}\n`, { flush: true });
  }
}
