import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type DestinationStream, pino } from 'pino';
import type { Config } from '../config.ts';
import { loadConfig } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { passwordFile } from '../node-red/folder.ts';
import { FlowsHost, type FlowsOptions } from '../node-red/host.ts';
import { USER } from '../node-red/settings.ts';
import { type RunInfo, runInfo } from '../run-info.ts';
import { EXIT, EXIT_HELP } from './exit.ts';
import type { Command } from './index.ts';
import { localToken } from './local.ts';
import { aborted } from './until.ts';

/** What flows log in with, in seconds; the host hands them a new one long before. */
export const TOKEN_SECONDS = 2 * 3600;
/** How often to look whether the gateway has come up elsewhere. */
const LOOK_MS = 2_000;

export const command: Command = {
  usage: `flows --config FILE

  --config FILE   the gateway's config; its section flows says where Node-RED listens, and how much it may take

Runs Node-RED beside a gateway, in a process of its own, with the nodes and examples of this package. It keeps flows in
the gateway's data folder (flows/user), logs in there as an engineer, and is started again when a flow ends it; after
three crashes within ten minutes it comes up in safe mode, with no flow running.

The editor's user is ${USER}; the password is made at the first start, in flows/password of the data folder. Note it and
delete the file, or write another one into it before the next start.

Logs JSON lines to standard output. Ctrl-C or SIGTERM stops it.

${EXIT_HELP}`,
  run: async (args, stop) => {
    const { values } = parseArgs({ args, options: { config: { type: 'string' } } });
    if (values.config === undefined) throw new EdgeError('USAGE', 'flows needs --config FILE');
    const config = loadConfig(values.config);
    const log = pino(
      { base: null, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ dest: 1, sync: true }) as DestinationStream,
    );
    const host = new FlowsHost({
      ...flowsOptions(config, (line, level) => log[level](line)),
      anyPort: false,
      access: async () => {
        const expiresMs = Date.now() + TOKEN_SECONDS * 1000;
        const token = await localToken(config, 'node-red', 'engineer', TOKEN_SECONDS);
        return { ...placeOf(config), token, expiresMs };
      },
    });
    await host.start();
    let told = JSON.stringify(placeOf(config));
    const look = setInterval(() => {
      const now = JSON.stringify(placeOf(config));
      if (now === told) return;
      told = now;
      host.renew().catch((error: unknown) => log.warn(String(error)));
    }, LOOK_MS);
    void host
      .until(({ url }) => url !== null)
      .then(({ url }) => log.info({ url, user: USER, password: passwordFile(host.folder) }, 'ready'));
    await aborted(stop);
    log.info('stopping');
    clearInterval(look);
    await host.stop();
    log.info('stopped');
    return EXIT.done;
  },
};

/** What config and data folder say of Node-RED, for whoever hosts it. */
export const flowsOptions = (
  { dataFolder, flows }: Config,
  say: FlowsOptions['say'],
): Omit<FlowsOptions, 'access' | 'anyPort'> => ({ ...flows, folder: resolve(dataFolder, 'flows'), say });

/** Where the gateway is, or where it will be. */
function placeOf({ dataFolder, http, mqtt }: Config): Pick<RunInfo, 'mqtt'> & { url: string } {
  const info = runInfo(dataFolder);
  return {
    url: info?.http ?? `http://${http.host}:${http.port}`,
    mqtt: info?.mqtt ?? `mqtt://${mqtt.host}:${mqtt.port}`,
  };
}
