import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import type { Command } from './index.ts';
import { type Ask, REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';

const ACTIONS = ['list', 'show', 'suspend', 'resume', 'revoke', 'replace', 'rekey'] as const;
type Action = (typeof ACTIONS)[number];

type Registry = { status: string; ageSeconds: number | null; block: number | null };
type View = { did: string; kind: string; sub: string; status: string; replacedBy: string | null; registry?: Registry };

export const command: Command = {
  usage: `device list [--sub URN]
       device show|suspend|resume|revoke DID
       device replace DID --by DID [--register OBIS --final WH --initial WH]
       device rekey DID [--did DID --proof SIGNATURE]

  list            all devices, or those of one metering point in the order in which they took over
  suspend         it may not speak until it is resumed;  revoke: never again
  replace         another device of the same metering point takes over. Kinds that bill a register need the last one
                  of the old device and the first of the new, in Wh, or - for one that cannot be read:
                  --register 1-0:1.8.0 --final 123456 --initial 0
  rekey           the same device, with a new key: --did names it, --proof is the signature of the old key over
                  "sejong-edge/rekey@1\\n<old DID>\\n<new DID>\\n", in base64url. Without both, for a device whose key
                  the gateway holds: a key is made, and a secret for its login is printed, this once
  --json          print the answer as JSON
${REMOTE_USAGE}`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...REMOTE_OPTIONS,
        sub: text,
        by: text,
        register: text,
        final: text,
        initial: text,
        did: text,
        proof: text,
        json: { type: 'boolean' },
      },
    });
    const [word, did, more] = positionals;
    const action = ACTIONS.find((a) => a === word);
    if (!action) throw new EdgeError('USAGE', `device needs one of ${ACTIONS.join(', ')}`);
    if (more !== undefined || (action === 'list') !== (did === undefined))
      throw new EdgeError('USAGE', `device ${action} takes ${action === 'list' ? 'no DID' : 'one DID'}`);
    const body = bodyOf(action, values);
    const { ask } = await remote(values, `device ${action}`);
    const answer = await send(ask, action, did ?? '', values.sub, body);
    if (values.json) console.log(JSON.stringify(answer));
    else show(answer);
    return 0;
  },
};

type Answer = { devices: View[] } | { device: View; secret?: string } | View;

function send(ask: Ask, action: Action, did: string, sub: string | undefined, body: object): Promise<Answer> {
  if (action === 'list') return ask(sub === undefined ? '/devices' : `/devices?sub=${encodeURIComponent(sub)}`);
  const path = `/devices/${encodeURIComponent(did)}`;
  return action === 'show' ? ask(path) : ask(`${path}/${action}`, body);
}

type Values = { [K in 'by' | 'register' | 'final' | 'initial' | 'did' | 'proof']?: string | undefined };

function bodyOf(action: Action, v: Values): object {
  if (action === 'rekey') return { did: v.did, proof: v.proof };
  if (action !== 'replace') return {};
  if (v.by === undefined) throw new EdgeError('USAGE', 'device replace needs --by DID');
  const given = [v.register, v.final, v.initial].filter((value) => value !== undefined).length;
  if (given === 0) return { by: v.by };
  if (given < 3) throw new EdgeError('USAGE', '--register, --final and --initial are given together');
  return { by: v.by, finalRegister: register(v, 'final'), initialRegister: register(v, 'initial') };
}

function register(v: Values, name: 'final' | 'initial'): object | null {
  const text = v[name] as string;
  if (text === '-') return null;
  if (!/^\d{1,15}$/.test(text)) throw new EdgeError('USAGE', `--${name} ${text}: whole Wh, or -`);
  return { obis: v.register, wh: Number(text) };
}

function show(answer: Answer): void {
  if ('devices' in answer) {
    for (const d of answer.devices) console.log(`${d.status.padEnd(10)}${d.kind.padEnd(10)}${d.did}  ${d.sub}`);
    return;
  }
  const device = 'device' in answer ? answer.device : answer;
  const line = (name: string, value: string): void => console.log(`${name.padEnd(10)}${value}`);
  line('did', device.did);
  line('kind', device.kind);
  line('sub', device.sub);
  line('status', device.status + (device.replacedBy ? ` by ${device.replacedBy}` : ''));
  const { registry } = device;
  if (registry) {
    const age = registry.ageSeconds === null ? 'never read' : `${registry.ageSeconds} s old`;
    line('registry', `${registry.status} (${age}, block ${registry.block ?? 'none'})`);
  }
  if ('device' in answer && answer.secret !== undefined) line('secret', answer.secret);
}
