import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { KEYS } from '../config/keys.ts';
import { startWith } from '../config/start.ts';
import { Configuring } from '../configuring.ts';
import { EdgeError, errorLine } from '../errors.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import { Logs } from '../logging.ts';
import { openServiceManager } from '../service/manager.ts';
import { VERSION } from '../version.ts';
import { EXIT, EXIT_HELP, sayLastWordBy } from './exit.ts';
import type { Command } from './index.ts';
import { isSupervised } from './supervise.ts';
import { aborted } from './until.ts';

export const command: Command = {
  usage: `run --config FILE [--supervise]

  --config FILE   the config (sejong-edge init writes one)
  --supervise     start it again when it ends by itself, for where there is no systemd: after 1 s, then twice as long
                  each time up to 60 s, and after 1 s again once it has run for 60 s; not after exit code 2

Logs JSON lines to standard output. Ctrl-C or SIGTERM stops it cleanly; SIGHUP has it read its config and
certificates again, and take over what needs no restart (sejong-edge config diff tells what).
Under a service manager (NOTIFY_SOCKET, as systemd sets it for Type=notify) it says when it is ready, how it is, when
it reloads and stops, and that it is alive: only while its event loop turns and the store's writer answers.

${EXIT_HELP}`,
  run: async (args, stop) => {
    const { values } = parseArgs({ args, options: { config: { type: 'string' }, supervise: { type: 'boolean' } } });
    if (values.config === undefined) throw new EdgeError('USAGE', 'run needs --config FILE');
    const { config: path } = values;
    const logs = new Logs();
    const log = logs.of('gateway');
    sayLastWordBy((line, stack) => {
      log.fatal({ code: 'INTERNAL', stack }, line);
      console.error(line);
    });
    const manager = await openServiceManager(process.env, (line) => log.warn(line));
    const again = new AbortController();
    // systemd names the process that it started; what a shell of it starts inherits the rest of its environment.
    const attended = manager.there || isSupervised() || process.env.SYSTEMD_EXEC_PID === String(process.pid);
    const configuring = new Configuring({
      path,
      restart: attended ? () => again.abort() : undefined,
      report: logs.report,
    });
    let gateway: Gateway;
    try {
      const started = await startWith<Gateway>(
        path,
        (config, state) => {
          logs.setLevels(config.logging);
          configuring.begun(state);
          return startGateway(config, VERSION, logs.report, configuring);
        },
        (line) => logs.report(line, 'warn'),
      );
      gateway = started.what;
    } catch (error) {
      manager.failed(errorLine(error));
      throw error;
    }
    gateway.reloading.follow(LOGGING, (next) => logs.setLevels(next.logging));
    // At a terminal it means what it always does: that the terminal has gone. What a reload comes to is said by itself.
    if (!process.stdin.isTTY)
      process.on('SIGHUP', () => void manager.reloading(() => configuring.reload().then(noop, noop)));
    log.info({ ...gateway.info, entries: gateway.parts.log.size }, 'ready');
    manager.ready(statusLine(gateway));
    manager.watch(
      () => gateway.parts.store.answers(),
      () => statusLine(gateway),
    );
    flushCompileCache(); // now, because a box on a pole ends by losing its power
    const failure = await Promise.race([aborted(stop), aborted(again.signal), gateway.failed]);
    manager.stopping();
    if (failure) {
      log.fatal({ code: failure.code }, failure.line);
      manager.failed(failure.line);
    } else log.info('stopping');
    await gateway.close();
    manager.close();
    log.info({ entries: gateway.parts.log.size, anchoredSize: gateway.parts.anchorer?.state.headSize ?? 0 }, 'stopped');
    return failure ? EXIT.failed : again.signal.aborted && !stop.aborted ? EXIT.restart : EXIT.done;
  },
};

const LOGGING = KEYS.filter(({ name }) => name.startsWith('logging.')).map(({ name }) => name);
const noop = (): void => undefined;

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
