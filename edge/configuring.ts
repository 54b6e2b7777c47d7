/** The config of a gateway that runs: which one is in force, what waits for a restart, and taking over a changed file. */
import { readFileSync } from 'node:fs';
import type { ConfigView, HealthPart, ReloadedView } from './api/config.ts';
import { digest, LastGood } from './config/last-good.ts';
import { loadConfig } from './config-file.ts';
import { EdgeError, errorLine } from './errors.ts';
import type { Reloaded, Reloading } from './reload.ts';

export type ConfiguringOptions = {
  path: string;
  /** Ends the process so that it is started again; undefined where nobody would. */
  restart: (() => void) | undefined;
  report: (line: string, level: 'info' | 'warn') => void;
};

export class Configuring {
  readonly #o: ConfiguringOptions;
  #rolledBack: EdgeError | undefined;
  #sha256 = '';
  /** Why the file, as it is now, is not in force. */
  #problem: string | undefined;
  #waiting: string[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #reloading: Reloading | undefined;
  #also: () => void = () => undefined;

  constructor(options: ConfiguringOptions) {
    this.#o = options;
  }

  /** What the start has come to. */
  begun({ sha256, rolledBack }: { sha256: string; rolledBack: EdgeError | undefined }): void {
    this.#sha256 = sha256;
    this.#rolledBack = rolledBack;
    this.#problem = rolledBack?.detail;
  }

  /** @param also is done at each reload: files that the config names */
  attach(reloading: Reloading, also: () => void): void {
    this.#reloading = reloading;
    this.#also = also;
  }

  view(): ConfigView {
    return {
      file: this.#o.path,
      sha256: this.#sha256,
      inForce: this.#rolledBack ? 'last good' : 'file',
      problem: this.#problem ?? null,
      waiting: this.#waiting,
      restarts: this.#o.restart !== undefined,
    };
  }

  health(): HealthPart {
    const waits = this.#waiting.length === 0 ? [] : [`${this.#waiting.join(', ')}: after a restart`];
    if (this.#rolledBack)
      return { ok: false, detail: ['the last good config is in force', this.#problem ?? '', ...waits].join('; ') };
    return {
      ok: this.#problem === undefined,
      detail: [this.#problem ?? `${this.#o.path} is in force`, ...waits].join('; '),
    };
  }

  /**
   * Reads the file again, and takes over what can be. One at a time.
   * @throws EdgeError CONFIG_INVALID; all stays as it was then
   */
  reload(): Promise<ReloadedView> {
    const next = this.#running.then(() => this.#reload());
    this.#running = next.catch(() => undefined);
    return next;
  }

  async #reload(): Promise<ReloadedView> {
    const { path, report } = this.#o;
    this.#also();
    let done: Reloaded;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
      const config = loadConfig(path, { text });
      done = await (this.#reloading as Reloading).take(config);
    } catch (error) {
      this.#problem = error instanceof EdgeError ? error.detail : errorLine(error);
      report(`config: ${errorLine(error)} What was in force stays in force.`, 'warn');
      throw error instanceof EdgeError ? error : new EdgeError('CONFIG_INVALID', errorLine(error));
    }
    const { taken, waiting, refused } = done;
    this.#waiting = waiting;
    this.#problem =
      refused.length === 0 ? undefined : refused.map(({ key, problem }) => `${key}: ${problem}`).join('; ');
    for (const { key, problem } of refused) report(`config: ${key} stays as it was: ${problem}`, 'warn');
    if (taken.length > 0) report(`config: taken over: ${taken.join(', ')}`, 'info');
    if (waiting.length > 0) report(`config: after a restart: ${waiting.join(', ')}`, 'warn');
    if (waiting.length === 0 && refused.length === 0) {
      if (taken.length === 0) report('config: nothing has changed', 'info');
      this.#rolledBack = undefined;
      this.#sha256 = digest(text);
      try {
        new LastGood(path).keep(text);
      } catch (error) {
        report(`config: ${errorLine(error)}`, 'warn');
      }
    }
    return { ...done, sha256: digest(text) };
  }

  /** @throws EdgeError RESTART_UNATTENDED */
  restart(): void {
    if (!this.#o.restart)
      throw new EdgeError('RESTART_UNATTENDED', 'it runs neither under systemd nor with --supervise');
    this.#o.report('config: asked to restart', 'info');
    this.#o.restart();
  }
}
