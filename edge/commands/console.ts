import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { ROLES } from '../tokens.ts';
import type { Command } from './index.ts';
import { REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';
import { secondsOf } from './time.ts';

const LONGEST = 30 * 86_400;

export const command: Command = {
  usage: `console [--role ROLE] [--name NAME] [--for TIME] [options]

  --role ROLE     ${ROLES.join(', ')} (default: viewer)
  --name NAME     whose it is, as the audit trail will say (default: console)
  --for TIME      how long one stays signed in: 90s, 30m, 12h, 7d (default: 12h; 30d at most)
${REMOTE_USAGE}

Prints a link that signs a browser in: good once, and for 10 minutes. Whoever opens it first is signed in, so send it to
nobody over a channel that others read. What it gives can be taken back: sejong-edge token list, token revoke ID.`,
  run: async (args) => {
    const { values } = parseArgs({
      args,
      options: {
        ...REMOTE_OPTIONS,
        role: { type: 'string', default: 'viewer' },
        name: { type: 'string', default: 'console' },
        for: { type: 'string', default: '12h' },
      },
    });
    const role = ROLES.find((r) => r === values.role);
    if (!role) throw new EdgeError('USAGE', `console --role ${values.role}: one of ${ROLES.join(', ')}`);
    const seconds = secondsOf(values.for, 60, LONGEST);
    const { ask, url } = await remote(values, 'console');
    const { code } = await ask<{ code: string }>('/session/codes', { role, name: values.name, seconds });
    console.log(signInLink(url, code));
    return 0;
  },
};

/** Behind the #, so that the code is in no request line and in no log of a proxy. */
export function signInLink(url: string, code: string): string {
  const link = new URL('/', url);
  // An address to listen on is none to go to.
  if (['0.0.0.0', '[::]'].includes(link.hostname)) link.hostname = 'localhost';
  link.hash = `/sign-in/${code}`;
  return link.href;
}
