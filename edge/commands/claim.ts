import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { renderUnicodeCompact } from 'uqr';
import { EdgeError } from '../errors.ts';
import type { Command } from './index.ts';
import { type Ask, REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';
import { secondsOf } from './time.ts';

type Claim = {
  id: string;
  wanted: string;
  expiresMs: number;
  madeBy: string;
  status: string;
  did: string | null;
  fingerprint: string | null;
};

export const command: Command = {
  usage: `claim make --kind KIND --sub URN [--for TIME] [--label TEXT] [--owner TEXT] [--capacity W] [--source TEXT]
       sejong-edge claim list [--json]
       sejong-edge claim confirm ID [--fingerprint XXXX-XXXX]
       sejong-edge claim drop ID

  --kind, --sub, --label, --owner, --capacity, --source   as for enroll
  --for TIME      how long a device may come with the code: 15m, 1h, 7d (default: 1h; 7d at most)
  --json          print the answer as JSON
${REMOTE_USAGE}

make prints a code, once, and as QR where this is a terminal: type or scan it into the device, which shows that it has
the code and which key it holds. confirm enrols that device, when the fingerprint that it shows is the one that is asked
for here.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...REMOTE_OPTIONS,
        kind: text,
        sub: text,
        label: text,
        owner: text,
        capacity: text,
        source: text,
        for: { type: 'string', default: '1h' },
        fingerprint: text,
        json: { type: 'boolean' },
      },
    });
    const [what = '', id = '', ...rest] = positionals;
    const needsId = what === 'confirm' || what === 'drop';
    if (!['make', 'list', 'confirm', 'drop'].includes(what) || rest.length > 0 || (id !== '') !== needsId)
      throw new EdgeError('USAGE', 'claim make, claim list, claim confirm ID, or claim drop ID');
    const say = (answer: object, lines: () => string): number => {
      console.log(values.json ? JSON.stringify(answer) : lines());
      return 0;
    };
    if (what === 'make') {
      const { kind, sub, label, owner, source } = values;
      if (kind === undefined || sub === undefined) throw new EdgeError('USAGE', 'claim make needs --kind and --sub');
      const seconds = secondsOf(values.for, 60, 7 * 86_400);
      const capacityW = values.capacity === undefined ? undefined : Number(values.capacity);
      if (capacityW !== undefined && !Number.isInteger(capacityW))
        throw new EdgeError('USAGE', '--capacity is whole watts');
      const { ask } = await remote(values, 'claim make');
      const body = { kind, sub, label, owner, capacityW, energySource: source, seconds };
      const made = await ask<Claim & { code: string }>('/claims', body);
      return say(made, () => {
        const lines = [
          `claim     ${made.id}, until ${new Date(made.expiresMs).toISOString()}`,
          `code      ${made.code}`,
        ];
        // Letters, digits and a dash: the QR code's alphanumeric mode.
        if (process.stdout.isTTY) lines.push(renderUnicodeCompact(made.code, { ecc: 'M' }));
        return lines.join('\n');
      });
    }
    const { ask } = await remote(values, `claim ${what}`);
    if (what === 'list') {
      const { claims } = await ask<{ claims: Claim[] }>('/claims');
      return say(claims, () => claims.map(lineOf).join('\n') || 'no claims');
    }
    if (what === 'drop') {
      const dropped = await ask<Claim>(`/claims/${encodeURIComponent(id)}/drop`, {});
      return say(dropped, () => lineOf(dropped));
    }
    const fingerprint = values.fingerprint ?? (await askFor(ask, id));
    const device = await ask<{ did: string }>(`/claims/${encodeURIComponent(id)}/confirm`, { fingerprint });
    return say(device, () => `enrolled  ${device.did}`);
  },
};

function lineOf({ id, status, wanted, expiresMs, madeBy, did, fingerprint }: Claim): string {
  const { kind, sub } = JSON.parse(wanted) as { kind: string; sub: string };
  const came = did === null ? '' : `  ${fingerprint} ${did}`;
  return `${id}  ${status.padEnd(9)}  until ${new Date(expiresMs).toISOString()}  ${kind} ${sub}, by ${madeBy}${came}`;
}

/** A person types what the device shows: one who only says yes compares nothing. */
async function askFor(ask: Ask, id: string): Promise<string> {
  if (!process.stdin.isTTY) throw new EdgeError('USAGE', 'claim confirm needs --fingerprint, as the device shows it');
  const claim = (await ask<{ claims: Claim[] }>('/claims')).claims.find((c) => c.id === id);
  if (claim?.did) console.log(lineOf({ ...claim, fingerprint: '(as the device shows it)' }));
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await lines.question('fingerprint that the device shows: ')).trim();
  } finally {
    lines.close();
  }
}
