import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { type DestinationStream, pino } from 'pino';
import { loadConfig } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { startGateway } from '../gateway.ts';
import { VERSION } from '../version.ts';
import { EXIT, EXIT_HELP, sayLastWordBy } from './exit.ts';
import type { Command } from './index.ts';
import { aborted } from './until.ts';

export const command: Command = {
  usage: `run --config FILE [--supervise]

  --config FILE   the config (sejong-edge init writes one)
  --supervise     start it again when it ends by itself, for where there is no systemd: after 1 s, then twice as long
                  each time up to 60 s, and after 1 s again once it has run for 60 s; not after exit code 2

Logs JSON lines to standard output. Ctrl-C or SIGTERM stops it cleanly; SIGHUP has it read its certificates again.

${EXIT_HELP}`,
  run: async (args, stop) => {
    const { values } = parseArgs({ args, options: { config: { type: 'string' }, supervise: { type: 'boolean' } } });
    if (values.config === undefined) throw new EdgeError('USAGE', 'run needs --config FILE');
    const log = pino(
      { base: null, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ dest: 1, sync: true }) as DestinationStream,
    );
    sayLastWordBy((line, stack) => {
      log.fatal({ code: 'INTERNAL', stack }, line);
      console.error(line);
    });
    const gateway = await startGateway(loadConfig(values.config), VERSION, (line, level) => log[level](line));
    // Without certificates SIGHUP means what it always does: that the terminal has gone.
    if (gateway.info.mqtts ?? gateway.info.https) process.on('SIGHUP', gateway.reload);
    log.info({ ...gateway.info, entries: gateway.parts.log.size }, 'ready');
    flushCompileCache(); // now, because a box on a pole ends by losing its power
    const failure = await Promise.race([aborted(stop), gateway.failed]);
    if (failure) log.fatal({ code: failure.code }, failure.line);
    else log.info('stopping');
    await gateway.close();
    log.info({ entries: gateway.parts.log.size, anchoredSize: gateway.parts.anchorer?.state.headSize ?? 0 }, 'stopped');
    return failure ? EXIT.failed : EXIT.done;
  },
};
