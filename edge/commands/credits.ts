import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  CERTIFICATE_STATES,
  type CertificateRowView,
  type ClaimedView,
  type CreditClaimView,
  PURPOSES,
  type TransactionView,
  type WhyView,
} from '../api/credit-views.ts';
import { certificatesCsv } from '../api/credits-csv.ts';
import { EdgeError } from '../errors.ts';
import type { Step } from '../verify.ts';
import { looksLikeBuilding, verifyBuilding } from '../verify-building.ts';
import { verifyCertificate } from '../verify-certificate.ts';
import { chainChecks } from '../verify-certificate-chain.ts';
import type { Command } from './index.ts';
import { REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';

type Explained = CertificateRowView & { why: WhyView; claims: CreditClaimView[] };

const text = { type: 'string' } as const;
const OPTIONS = {
  ...REMOTE_OPTIONS,
  'metering-point': text,
  device: text,
  state: text,
  from: text,
  to: text,
  claimed: { type: 'boolean' },
  unclaimed: { type: 'boolean' },
  limit: { ...text, default: '100' },
  json: { type: 'boolean' },
  csv: { type: 'boolean' },
  out: text,
  key: text,
  issuer: text,
  rpc: text,
  credits: text,
  anchors: text,
  wh: text,
  purpose: text,
  beneficiary: text,
  recipient: text,
  reason: text,
  class: text,
  confirmed: text,
  carried: text,
  lock: text,
  generation: { ...text, multiple: true },
  grid: text,
} as const;
type Values = {
  [K in keyof typeof OPTIONS]?: (typeof OPTIONS)[K] extends { type: 'boolean' }
    ? boolean
    : (typeof OPTIONS)[K] extends { multiple: true }
      ? string[]
      : string;
};
type Remote = Awaited<ReturnType<typeof remote>>;

export const command: Command = {
  usage: `credits list [filters] [--limit N] [--json]
       sejong-edge credits explain ID [--json]
       sejong-edge credits export ID ... [--out FILE]
       sejong-edge credits export --csv | --json [filters] [--out FILE]
       sejong-edge credits verify FILE [--key VKEY] [--issuer DID]
                     [--rpc URL [--credits ADDRESS] [--anchors ADDRESS]]
       sejong-edge credits claim ID --purpose PURPOSE [--wh N] [--beneficiary TEXT] [--recipient TEXT]
       sejong-edge credits withdraw ID --reason TEXT
       sejong-edge credits reissue ID
       sejong-edge credits statement YYYY-MM --metering-point URN
       sejong-edge credits rec YYYY-MM --metering-point URN --class CLASS --confirmed YYYY-MM-DD [--carried N]
                     [--lock NUMBER]
       sejong-edge credits building --generation URN ... --grid URN --from TIME --to TIME [--out FILE]

  list            certificates by their hour, with what became of each
  explain         why it says what it says: two registers, two entries, one root; and its claims
  export          the portable file of a certificate (of several: --out is a folder), or a list of them
  verify          a portable file (or a report on a building, with --key), offline: from the claim back to the meter's signature, a step at a time
  claim           burns credits of the gateway's account for good, as that hour. What --beneficiary says is hashed with
                  a salt, which is shown this once
  withdraw        takes back the whole day of that metering point, to be certified anew
  reissue         certifies a withdrawn day anew: ID is that of its next version, which waits as ready
  statement       of a month of Korean time
  rec             what an application for Korean RECs needs; it is no REC. CLASS is that of the plant in the table of
                  weights (land, building, ...), N what the month before left (its recs.carry). --lock
                  claims what the application with that number uses, so that nothing else can
  building        how much of its electricity a building made itself: a signed report, with receipts, which verify takes

  filters         --metering-point URN, --device DID, --state ${CERTIFICATE_STATES.join('|')},
                  --from TIME, --to TIME (RFC 3339, of hours), --claimed, --unclaimed
  --purpose       ${PURPOSES.join(', ')}
  --recipient     public: who receives a donation, or the number of an application
  --key VKEY      the log's verifier key (as /log/key gives it), or a file with it (default: the one in the file)
  --issuer DID    the gateway's DID (as /health gives it; default: the one in the file)
  --rpc URL       any node of the chain: asked for the root, the slot, and the transactions that the file names
  --credits, --anchors ADDRESS   the contracts on it (default: those in the file)
${REMOTE_USAGE}

verify says each step on a line of its own. Exit code 0 when all hold, 1 when one fails, naming it.`,
  run: async (args) => {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: OPTIONS });
    const [what = '', ...rest] = positionals;
    const act = Object.hasOwn(ACTIONS, what) ? ACTIONS[what] : undefined;
    if (!act) throw new EdgeError('USAGE', `credits ${Object.keys(ACTIONS).join(', credits ')}`);
    return await act(rest, values as Values);
  },
};

const ACTIONS: Record<string, (rest: string[], values: Values) => Promise<number>> = {
  list: async (rest, values) => {
    none(rest, 'list');
    const { ask } = await remote(values, 'credits list');
    const rows = await listed(ask, values, Number(values.limit));
    if (values.json) console.log(JSON.stringify(rows));
    else for (const row of rows) console.log(lineOf(row));
    return 0;
  },
  explain: async (rest, values) => {
    const id = one(rest, 'explain');
    const { ask } = await remote(values, 'credits explain');
    const found = await ask<Explained>(`/certificates/${encodeURIComponent(id)}`);
    if (values.json) console.log(JSON.stringify(found));
    else console.log(explained(found).join('\n'));
    return 0;
  },
  export: async (rest, values) => {
    const { ask, text: get } = await remote(values, 'credits export');
    if (rest.length === 0) {
      if ((values.csv === true) === (values.json === true))
        throw new EdgeError('USAGE', 'export --csv, --json, or ID ...');
      const rows = await listed(ask, values, Number.POSITIVE_INFINITY);
      write(values.out, values.csv ? certificatesCsv(rows) : `${JSON.stringify(rows, null, 2)}\n`);
      return 0;
    }
    for (const id of rest) {
      const file = await get(`/certificates/${encodeURIComponent(id)}/file`);
      // One spelling: not even a line feed is added.
      write(rest.length === 1 ? values.out : join(values.out ?? '.', `${id}.json`), file);
    }
    return 0;
  },
  verify: async (rest, values) => {
    const path = one(rest, 'verify');
    const key = values.key === undefined || values.key.includes('+') ? values.key : read(values.key).toString().trim();
    const say = ({ ok, name, detail }: Step): void =>
      console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(21)} ${detail}`);
    if (looksLikeBuilding(read(path))) {
      if (key === undefined) throw new EdgeError('USAGE', 'verify needs --key for the evidence of a building');
      const failed = await verifyBuilding(read(path), { key, issuer: values.issuer }, say);
      console.log(failed === undefined ? 'The evidence holds.' : `The evidence does NOT hold: ${failed}.`);
      return failed === undefined ? 0 : 1;
    }
    const chain = values.rpc === undefined ? [] : chainChecks(values.rpc, values);
    const failed = await verifyCertificate(read(path), { issuer: values.issuer, key }, chain, say);
    const unsure = key === undefined || values.issuer === undefined;
    console.log(
      failed === undefined
        ? `The certificate holds${unsure ? ', if key and issuer are those of a gateway that you trust (--key, --issuer)' : ''}.`
        : `The certificate does NOT hold: ${failed}.`,
    );
    return failed === undefined ? 0 : 1;
  },
  claim: async (rest, values) => {
    const id = one(rest, 'claim');
    const { purpose, beneficiary, recipient } = values;
    if (purpose === undefined) throw new EdgeError('USAGE', `claim needs --purpose, one of ${PURPOSES.join(', ')}`);
    const { ask } = await remote(values, 'credits claim');
    const made = await ask<ClaimedView>(`/certificates/${encodeURIComponent(id)}/claim`, {
      purpose,
      ...(beneficiary === undefined ? {} : { beneficiary }),
      ...(recipient === undefined ? {} : { recipient }),
      ...(values.wh === undefined ? {} : { wh: Number(values.wh) }),
    });
    console.log(`claimed     ${made.wh} Wh of ${id}: ${made.purpose}\ntransaction ${placeOf(made.transaction)}`);
    if (made.salt !== null)
      console.log(
        `beneficiary ${made.beneficiary}\nsalt        ${made.salt}  keep it: with it the beneficiary can prove the claim, and it is shown this once`,
      );
    return 0;
  },
  withdraw: async (rest, values) => {
    const id = one(rest, 'withdraw');
    if (values.reason === undefined) throw new EdgeError('USAGE', 'withdraw needs --reason, which is public');
    const { ask } = await remote(values, 'credits withdraw');
    const done = await ask<TransactionView>(`/certificates/${encodeURIComponent(id)}/withdraw`, {
      reason: values.reason,
    });
    console.log(`withdrawn   the day of ${id}\ntransaction ${placeOf(done)}`);
    return 0;
  },
  reissue: async (rest, values) => {
    const id = one(rest, 'reissue');
    const { ask } = await remote(values, 'credits reissue');
    const row = await ask<CertificateRowView>(`/certificates/${encodeURIComponent(id)}/reissue`, {});
    console.log(`reissued    the day of ${id}, as version ${row.version}: it goes out with the next batch`);
    return 0;
  },
  statement: (rest, values) => monthly('statement', 'statements', rest, values),
  rec: async (rest, values) => {
    const { class: of, confirmed, carried } = values;
    if (of === undefined || confirmed === undefined) throw new EdgeError('USAGE', 'rec needs --class and --confirmed');
    const plant = { class: of, confirmed, ...(carried === undefined ? {} : { carried }) };
    if (values.lock === undefined) return await monthly('rec', 'rec', rest, values, plant);
    const month = one(rest, 'rec');
    const meteringPoint = values['metering-point'];
    if (meteringPoint === undefined) throw new EdgeError('USAGE', 'rec needs --metering-point');
    const { ask } = await remote(values, 'credits rec');
    const done = await ask<{ application: object; wh: number; transactions: TransactionView[] }>(
      `/rec/${encodeURIComponent(month)}/lock`,
      { meteringPoint, ...plant, application: values.lock },
    );
    if (values.out !== undefined) write(values.out, `${JSON.stringify(done.application, null, 2)}\n`);
    console.log(`locked      ${done.wh} Wh of ${month} for application ${values.lock}`);
    for (const transaction of done.transactions) console.log(`transaction ${placeOf(transaction)}`);
    return 0;
  },
  building: async (rest, values) => {
    none(rest, 'building');
    const { generation = [], grid, from, to } = values;
    if (generation.length === 0 || grid === undefined || from === undefined || to === undefined)
      throw new EdgeError('USAGE', 'building needs --generation, --grid, --from and --to');
    const { ask } = await remote(values, 'credits building');
    const asked = new URLSearchParams({ generation: generation.join(','), grid, from, to });
    write(values.out, `${JSON.stringify(await ask(`/evidence/building?${asked.toString()}`), null, 2)}\n`);
    return 0;
  },
};

async function monthly(
  what: string,
  path: string,
  rest: string[],
  values: Values,
  more: Record<string, string> = {},
): Promise<number> {
  const month = one(rest, what);
  const point = values['metering-point'];
  if (point === undefined) throw new EdgeError('USAGE', `${what} needs --metering-point`);
  const { ask } = await remote(values, `credits ${what}`);
  const document = await ask(
    `/${path}/${encodeURIComponent(month)}?${new URLSearchParams({ meteringPoint: point, ...more }).toString()}`,
  );
  write(values.out, `${JSON.stringify(document, null, 2)}\n`);
  return 0;
}

const PAGE = 1000;

async function listed(ask: Remote['ask'], values: Values, most: number): Promise<CertificateRowView[]> {
  if (!(most >= 1)) throw new EdgeError('USAGE', '--limit is a number from 1 on');
  if (values.claimed && values.unclaimed) throw new EdgeError('USAGE', '--claimed or --unclaimed, not both');
  const { device, state, from, to } = values;
  const claimed = values.claimed ? 'true' : values.unclaimed ? 'false' : undefined;
  const filters = { meteringPoint: values['metering-point'], device, state, from, to, claimed };
  const found: CertificateRowView[] = [];
  for (let after: string | undefined; found.length < most; ) {
    const limit = String(Math.min(PAGE, most - found.length));
    const asked = Object.entries({ ...filters, after, limit }).filter(
      (pair): pair is [string, string] => pair[1] !== undefined,
    );
    const page = await ask<{ certificates: CertificateRowView[]; next: string | null }>(
      `/certificates?${new URLSearchParams(asked).toString()}`,
    );
    found.push(...page.certificates);
    if (page.next === null) break;
    after = page.next;
  }
  return found;
}

const placeOf = ({ hash, block }: TransactionView): string =>
  `${hash}${block === null ? ', not in a block yet' : ` in block ${block}`}`;

function lineOf(c: CertificateRowView): string {
  const flags = c.flags.length > 0 ? `  ${c.flags.join(' ')}` : '';
  const why = c.code === null ? '' : `  ${c.code}: ${c.detail}`;
  const claimed = c.claimedWh > 0 ? `  ${c.claimedWh} Wh claimed` : '';
  return `${c.id}  ${c.start}  ${String(c.wh).padStart(8)} Wh  ${c.state.padEnd(9)}  ${c.meteringPoint}${claimed}${flags}${why}`;
}

function explained({ why, claims, ...c }: Explained): string[] {
  const { start, end, root } = why;
  const reading = (name: string, r: WhyView['start']): string =>
    `${name.padEnd(12)}${r.wh} Wh (${r.register}) at ${r.boundary}, read ${r.read}, entry ${r.entry}`;
  const anchor = root?.anchor;
  return [
    `certificate ${c.id}: ${c.wh} Wh, ${c.state}${c.code === null ? '' : ` (${c.code}: ${c.detail})`}`,
    `hour        ${c.start} to ${c.end}`,
    `measured    ${c.meteringPoint} by ${c.device}`,
    reading('start', start),
    reading('end', end),
    `difference  ${why.arithmetic}${why.rule === 'rollover' ? ', as the register began anew' : ''}`,
    `cap         ${why.capWh === null ? 'the rated power is not known' : `${why.capWh} Wh: rated power, the time between the readings, and 5 %`}`,
    ...(c.flags.length > 0 ? [`flags       ${c.flags.join(', ')}`] : []),
    root
      ? `root        ${root.root} of ${root.size} entries of ${root.origin}${anchor ? `\nanchor      ${anchor.transaction} in block ${anchor.block} of chain ${anchor.chainId}` : ''}`
      : 'root        in no anchored tree yet',
    ...(c.transaction ? [`minted      ${placeOf(c.transaction)}, to ${c.owner}`] : []),
    ...claims.map(
      (claim) =>
        `claimed     ${claim.wh} Wh, ${claim.purpose}${claim.recipient === '' ? '' : ` (${claim.recipient})`}, by ${claim.holder}: ${placeOf(claim.transaction)}`,
    ),
    `proof       sejong-edge credits export ${c.id} --out FILE; sejong-edge credits verify FILE`,
  ];
}

function none(rest: string[], what: string): void {
  if (rest.length > 0) throw new EdgeError('USAGE', `${what} takes options alone, and not ${rest.join(' ')}`);
}

function one(rest: string[], what: string): string {
  const [value] = rest;
  if (value === undefined || rest.length > 1) throw new EdgeError('USAGE', `${what} needs one argument`);
  return value;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw new EdgeError('USAGE', `cannot read ${path}: ${(error as Error).message}`);
  }
}

function write(path: string | undefined, content: string): void {
  if (path === undefined) {
    process.stdout.write(content);
    return;
  }
  try {
    writeFileSync(path, content);
  } catch (error) {
    throw new EdgeError('USAGE', `cannot write ${path}: ${(error as Error).message}`);
  }
}
