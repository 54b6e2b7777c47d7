import { parseArgs } from 'node:util';
import { EdgeError, ERRORS, type ErrorCode } from '../errors.ts';
import type { Command } from './index.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig, localToken, runInfo } from './local.ts';

type Answer = {
  tombstone: number | null;
  salt: string | null;
  devices: number;
  entries: number;
  quarantined: number;
  others: number;
  open: boolean;
  complete: boolean;
  asides: string[];
};

export const command: Command = {
  usage: `forget --subject DID|URN --yes [options]

  --subject S     a device's DID, or the URN of a metering point or vehicle: then all devices that speak of it
  --yes           it cannot be undone
  --url URL       the gateway's API (default: the running one of the data folder)
  --token TOKEN   or SEJONG_TOKEN: an operator's token (default: made from the keys of the data folder)
  --json          print the answer as JSON
${LOCAL_USAGE}

Destroys what the sealed entries of the subject are over, here. Their receipts still verify, and prove that there was
something. The salt that is printed, this once, shows which tombstone entry is whose.
Not destroyed: what was public, bundles that were exported, backups, databases that were set aside; and the enrolment.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: {
        ...LOCAL_OPTIONS,
        subject: text,
        yes: { type: 'boolean', default: false },
        url: text,
        token: text,
        json: { type: 'boolean', default: false },
      },
    });
    const { subject } = values;
    if (subject === undefined) throw new EdgeError('USAGE', 'forget needs --subject');
    if (!values.yes) throw new EdgeError('USAGE', `forget destroys what is kept of ${subject}: say --yes`);
    const config = localConfig(values);
    const url = values.url ?? runInfo(config.dataFolder)?.http;
    if (url === undefined)
      throw new EdgeError('USAGE', `no gateway runs on ${config.dataFolder}; start it, or give --url`);
    const token = values.token ?? process.env.SEJONG_TOKEN ?? (await localToken(config, 'forget', 'operator', 60));
    const answer = await fetch(new URL('/forget', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ subject }),
    }).catch((error: Error) => {
      throw new EdgeError(
        'USAGE',
        `${url} does not answer (${(error.cause as Error | undefined)?.message ?? error.message})`,
      );
    });
    const result = (await answer.json()) as Answer & { code?: string; detail?: string };
    if (!answer.ok)
      throw result.code && Object.hasOwn(ERRORS, result.code)
        ? new EdgeError(result.code as ErrorCode, result.detail ?? '')
        : new EdgeError('INTERNAL', `${url} answered ${answer.status}`);
    if (values.json) console.log(JSON.stringify(result));
    else {
      const { tombstone, salt, entries, quarantined, others, open, complete, asides } = result;
      console.log(
        tombstone === null
          ? 'forgotten nothing was left of it'
          : `forgotten ${entries} entries, ${quarantined} envelopes in quarantine, ${others} other rows`,
      );
      if (tombstone !== null) console.log(`tombstone entry ${tombstone}\nsalt      ${salt}`);
      if (open) console.log('open      some of its entries are not sealed, and stay in the log');
      if (!complete) console.log('traces    another process reads the database; they go when it has ended');
      for (const file of asides) console.log(`aside     ${file} may still hold it: destroy it when nobody needs it`);
    }
    return 0;
  },
};
