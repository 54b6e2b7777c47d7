import { parseArgs } from 'node:util';
import type { ForgottenView } from '../api/views.ts';
import { EdgeError } from '../errors.ts';
import type { Command } from './index.ts';
import { REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';

export const command: Command = {
  usage: `forget --subject DID|URN --yes [options]

  --subject S     a device's DID, or the URN of a metering point or vehicle: then all devices that speak of it
  --yes           it cannot be undone
  --json          print the answer as JSON
${REMOTE_USAGE}

Destroys what the sealed entries of the subject are over, here. Their receipts still verify, and prove that there was
something. The salt that is printed, this once, shows which tombstone entry is whose.
Not destroyed: what was public, bundles that were exported, backups, databases that were set aside; and the enrolment.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: {
        ...REMOTE_OPTIONS,
        subject: text,
        yes: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const { subject } = values;
    if (subject === undefined) throw new EdgeError('USAGE', 'forget needs --subject');
    if (!values.yes) throw new EdgeError('USAGE', `forget destroys what is kept of ${subject}: say --yes`);
    const { ask } = await remote(values, 'forget');
    const result = await ask<ForgottenView>('/forget', { subject });
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
