import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { type DestinationStream, pino } from 'pino';
import { loadConfig } from '../config-file.ts';
import { EdgeError, errorLine } from '../errors.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import { openServiceManager } from '../service/manager.ts';
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
Under a service manager (NOTIFY_SOCKET, as systemd sets it for Type=notify) it says when it is ready, how it is, when
it reloads and stops, and that it is alive: only while its event loop turns and the store's writer answers.

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
    const manager = await openServiceManager(process.env, (line) => log.warn(line));
    let gateway: Gateway;
    try {
      gateway = await startGateway(loadConfig(values.config), VERSION, (line, level) => log[level](line));
    } catch (error) {
      manager.failed(errorLine(error));
      throw error;
    }
    // Without certificates SIGHUP means what it always does: that the terminal has gone. A service has none.
    if (manager.there || (gateway.info.mqtts ?? gateway.info.https))
      process.on('SIGHUP', () => void manager.reloading(gateway.reload));
    log.info({ ...gateway.info, entries: gateway.parts.log.size }, 'ready');
    manager.ready(statusLine(gateway));
    manager.watch(
      () => gateway.parts.store.answers(),
      () => statusLine(gateway),
    );
    flushCompileCache(); // now, because a box on a pole ends by losing its power
    const failure = await Promise.race([aborted(stop), gateway.failed]);
    manager.stopping();
    if (failure) {
      log.fatal({ code: failure.code }, failure.line);
      manager.failed(failure.line);
    } else log.info('stopping');
    await gateway.close();
    manager.close();
    log.info({ entries: gateway.parts.log.size, anchoredSize: gateway.parts.anchorer?.state.headSize ?? 0 }, 'stopped');
    return failure ? EXIT.failed : EXIT.done;
  },
};

/** For `systemctl status`: one line. */
function statusLine({ parts, health }: Gateway): string {
  const bad = Object.entries(health().parts)
    .filter(([, { ok }]) => !ok)
    .map(([name]) => name);
  return [
    `${parts.log.size} entries, checkpoint ${parts.log.latest?.size ?? 0}`,
    ...(parts.anchorer ? [`anchored ${parts.anchorer.state.headSize}`] : []),
    `${parts.mqtt.connected} connected`,
    ...(bad.length > 0 ? [`look at ${bad.join(', ')}`] : []),
  ].join(', ');
}
