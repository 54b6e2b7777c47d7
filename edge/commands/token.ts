import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { runInfo } from '../run-info.ts';
import { LOCAL_LIFE, ROLES, type Role } from '../tokens.ts';
import type { Command } from './index.ts';
import { localConfig, localToken } from './local.ts';
import { type Ask, REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';
import { secondsOf } from './time.ts';

const LONGEST = 366 * 86_400;
type Token = { id: string; name: string; role: string; expiresMs: number; madeBy: string; revokedMs: number | null };

export const command: Command = {
  usage: `token make --role ROLE [--name NAME] [--for TIME] [options]
       sejong-edge token list [--json] [options]
       sejong-edge token revoke ID [options]

  --role ROLE     ${ROLES.join(', ')}
  --name NAME     whose it is (default: the role)
  --for TIME      how long it is valid: 90s, 30m, 12h, 7d (default: 12h; 366d at most)
  --json          list as JSON
${REMOTE_USAGE}

make prints the token alone. It goes into the Authorization header, or is the MQTT password with the role as user name.
The gateway keeps a list of them, without the tokens themselves; one that it revokes is good for nothing at once, and
connections that were opened with it end. Without a running gateway only a token for up to ${LOCAL_LIFE / 3600}h can be made, which is in no
list and can be revoked once it was used.`,
  run: async (args) => {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...REMOTE_OPTIONS,
        role: { type: 'string' },
        name: { type: 'string' },
        for: { type: 'string', default: '12h' },
        json: { type: 'boolean' },
      },
    });
    const [what = 'make', id, ...rest] = positionals;
    if (rest.length > 0 || (id !== undefined) !== (what === 'revoke') || !['make', 'list', 'revoke'].includes(what))
      throw new EdgeError('USAGE', 'token make, token list, or token revoke ID');
    if (what === 'make') return await make(values);
    const { ask } = await remote(values, `token ${what}`);
    if (what === 'list') return await list(ask, values.json === true);
    const { name, role } = await ask<Token>(`/tokens/${encodeURIComponent(id as string)}/revoke`, {});
    console.log(`revoked   ${id}: ${role} of ${name}`);
    return 0;
  },
};

async function make(values: Parameters<typeof remote>[0] & { role?: string; name?: string; for: string }) {
  const role = ROLES.find((r) => r === values.role);
  if (!role) throw new EdgeError('USAGE', `token make needs --role, one of ${ROLES.join(', ')}`);
  const seconds = secondsOf(values.for, 1, LONGEST);
  console.log(await tokenOf(values, role, values.name ?? role, seconds));
  return 0;
}

async function tokenOf(values: Parameters<typeof remote>[0], role: Role, name: string, seconds: number) {
  const config = localConfig(values);
  if (values.url === undefined && !runInfo(config.dataFolder)) {
    if (seconds > LOCAL_LIFE)
      throw new EdgeError(
        'USAGE',
        `no gateway runs on ${config.dataFolder}, so only a token for up to ${LOCAL_LIFE / 3600}h can be made (--for ${LOCAL_LIFE / 3600}h)`,
      );
    return await localToken(config, name, role, seconds);
  }
  const { ask } = await remote(values, 'token make');
  return (await ask<{ token: string }>('/tokens', { role, name, seconds })).token;
}

async function list(ask: Ask, json: boolean): Promise<number> {
  const { tokens } = await ask<{ tokens: Token[] }>('/tokens');
  if (json) console.log(JSON.stringify(tokens));
  else
    for (const t of tokens)
      console.log(
        `${t.id}  ${t.role.padEnd(8)}  ${t.revokedMs === null ? `until ${new Date(t.expiresMs).toISOString()}` : `revoked ${new Date(t.revokedMs).toISOString()}`}  ${t.name}, by ${t.madeBy}`,
      );
  return 0;
}
