import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { type Action, opens } from '../log/audit.ts';
import { GATEWAY_SUB } from '../log/gap.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import { verifyEnvelope } from '../wire/verify.ts';
import type { Command } from './index.ts';
import { type Ask, REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';

type Row = Action & { index: number; salt: string; content: string; envelope?: string };
const PAGE = 500;

export const command: Command = {
  usage: `audit [--limit N] [--json] [options]

  --limit N       the newest N actions (default: 50; 0 for all)
  --json          one JSON object a line, with salt, content and entry
${REMOTE_USAGE}

Lists what operators did: when, who, what, on what. Each line is checked: the entry of the log is signed by the gateway
and holds the digest of what is listed. One that does not fit is marked, and the exit code is 1.`,
  run: async (args, stop) => {
    const { values } = parseArgs({
      args,
      options: { ...REMOTE_OPTIONS, limit: { type: 'string', default: '50' }, json: { type: 'boolean' } },
    });
    const limit = Number(values.limit);
    if (!Number.isSafeInteger(limit) || limit < 0) throw new EdgeError('USAGE', '--limit is a number');
    const { ask } = await remote(values, 'audit');
    const { did } = await ask<{ did: string }>('/health');
    let bad = 0;
    for await (const row of rows(ask, limit === 0 ? Number.MAX_SAFE_INTEGER : limit, stop)) {
      const flaw = flawOf(row, did);
      if (flaw !== undefined) bad++;
      if (values.json) console.log(JSON.stringify({ ...row, verified: flaw === undefined, ...(flaw ? { flaw } : {}) }));
      else {
        const { index, atMs, by, action, on, detail } = row;
        const more = Object.entries(detail).map(([key, value]) => ` ${key}=${value}`);
        console.log(
          `${flaw === undefined ? 'ok ' : 'BAD'} ${index}  ${new Date(atMs).toISOString()}  ${by.name} (${by.role}, ${by.token})  ${action} ${on}${more.join('')}${flaw === undefined ? '' : `: ${flaw}`}`,
        );
      }
    }
    if (bad > 0) throw new EdgeError('AUDIT_INVALID', `${bad} of the actions listed`);
    return 0;
  },
};

async function* rows(ask: Ask, limit: number, stop: AbortSignal): AsyncGenerator<Row> {
  let left = limit;
  for (let before = Number.MAX_SAFE_INTEGER; left > 0 && !stop.aborted; ) {
    const size = Math.min(PAGE, left);
    const { audit } = await ask<{ audit: Row[] }>(`/audit?limit=${size}&before=${before}`);
    yield* audit;
    left -= size;
    before = audit.at(-1)?.index ?? 0;
    if (audit.length < size || before < 1) return;
  }
}

/** Why it is not what the log has; undefined where it is. */
export function flawOf(row: Row, did: string): string | undefined {
  if (row.envelope === undefined) return 'the payload of its entry is no longer kept';
  try {
    const envelope = decodeEnvelope(Buffer.from(row.envelope, 'base64'));
    if (envelope.iss !== did || !envelope.sub.startsWith(GATEWAY_SUB)) return 'its entry is not of the gateway';
    verifyEnvelope(envelope);
    const content = Buffer.from(row.content, 'base64');
    if (!opens(envelope, { salt: Buffer.from(row.salt, 'base64'), content })) return 'its entry holds another digest';
    const { atMs, by, action, on, detail } = row;
    if (content.toString('utf8') !== JSON.stringify({ atMs, by, action, on, detail })) return 'what is listed differs';
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
