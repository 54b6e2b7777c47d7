/** Node-RED in the demo: it comes when the first readings have come, and goes before the gateway does. */
import type { Config } from '../config.ts';
import { errorLine } from '../errors.ts';
import type { Gateway } from '../gateway.ts';
import { passwordFile } from '../node-red/folder.ts';
import { FlowsHost } from '../node-red/host.ts';
import { USER } from '../node-red/settings.ts';
import { flowsOptions, TOKEN_SECONDS } from './flows.ts';

export class DemoFlows {
  readonly #host: FlowsHost;
  readonly #say: (line: string) => void;
  #stopped = false;

  /** @param anyPort where the port is taken, any free one will do */
  constructor({ info, parts }: Gateway, config: Config, anyPort: boolean, say: (line: string) => void) {
    this.#say = say;
    this.#host = new FlowsHost({
      // What Node-RED says of itself is for the editor's own log; what went wrong is for everybody.
      ...flowsOptions(config, (line, level) => {
        if (level === 'warn') say(line);
      }),
      anyPort,
      access: async () => ({
        url: info.http,
        mqtt: info.mqtt,
        token: await parts.tokens.issue({ name: 'node-red', role: 'engineer' }, TOKEN_SECONDS),
        expiresMs: Date.now() + TOKEN_SECONDS * 1000,
      }),
    });
  }

  /** Not waited for: readings come first. */
  start(): void {
    if (this.#stopped) return;
    this.#host.start().catch((error: unknown) => this.#say(`flows   ${errorLine(error)}`));
    void this.#host
      .until(({ url }) => url !== null)
      .then(({ url, version }) => {
        this.#say(`flows   ${url}   Node-RED ${version}, user ${USER}, password in ${passwordFile(this.#host.folder)}`);
        this.#say(`flows   ${url}public/   pages of flows, without a login`);
      });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#host.stop();
  }
}
