import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { type DestinationStream, pino } from 'pino';
import { loadConfig } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { startGateway } from '../gateway.ts';
import { VERSION } from '../version.ts';
import type { Command } from './index.ts';
import { aborted } from './until.ts';

export const command: Command = {
  usage: `run --config FILE

  --config FILE   the config (sejong-edge init writes one)

Logs JSON lines to standard output. Ctrl-C or SIGTERM stops it cleanly.`,
  run: async (args, stop) => {
    const { values } = parseArgs({ args, options: { config: { type: 'string' } } });
    if (values.config === undefined) throw new EdgeError('USAGE', 'run needs --config FILE');
    const log = pino(
      { base: null, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ dest: 1, sync: true }) as DestinationStream,
    );
    const gateway = await startGateway(loadConfig(values.config), VERSION, (line, level) => log[level](line));
    log.info({ ...gateway.info, entries: gateway.parts.log.size }, 'ready');
    flushCompileCache(); // now, because a box on a pole ends by losing its power
    const failure = await Promise.race([aborted(stop), gateway.failed]);
    if (failure) log.fatal({ code: failure.code }, failure.line);
    else log.info('stopping');
    await gateway.close();
    log.info({ entries: gateway.parts.log.size, anchoredSize: gateway.parts.anchorer?.state.headSize ?? 0 }, 'stopped');
    return failure ? 1 : 0;
  },
};
