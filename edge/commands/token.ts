import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { ROLES } from '../tokens.ts';
import type { Command } from './index.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig, localToken } from './local.ts';

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
const LONGEST = 366 * 86_400;

export const command: Command = {
  usage: `token --role ROLE [--name NAME] [--for TIME] [--config FILE | --data DIR]

  --role ROLE     ${ROLES.join(', ')}
  --name NAME     whose it is (default: the role)
  --for TIME      how long it is valid: 90s, 30m, 12h, 7d (default: 12h; 366d at most)
${LOCAL_USAGE}

Prints the token alone. It goes into the Authorization header, or is the MQTT password with the role as user name.`,
  run: async (args) => {
    const { values } = parseArgs({
      args,
      options: {
        ...LOCAL_OPTIONS,
        role: { type: 'string' },
        name: { type: 'string' },
        for: { type: 'string', default: '12h' },
      },
    });
    const role = ROLES.find((r) => r === values.role);
    if (!role) throw new EdgeError('USAGE', `token needs --role, one of ${ROLES.join(', ')}`);
    const m = /^(\d{1,6})([smhd])$/.exec(values.for);
    const seconds = m ? Number(m[1]) * (UNITS[m[2] as string] as number) : 0;
    if (seconds < 1 || seconds > LONGEST)
      throw new EdgeError('USAGE', `--for ${values.for}: a time such as 90s, 30m, 12h, 7d, up to 366d`);
    console.log(await localToken(localConfig(values), values.name ?? role, role, seconds));
    return 0;
  },
};
