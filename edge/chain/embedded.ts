/**
 * The embedded chain: anvil as a child process, its state kept in the data folder. For demos and tests; a city
 * points chain.rpc at a chain that somebody else keeps.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { EdgeError, errorLine } from '../errors.ts';
import { GUARD } from '../guard.ts';

export const EMBEDDED_CHAIN_ID = 31_337;
const START_MS = 20_000;
/** What anvil says of a state that it can't read. */
const STATE = /'--state|\bload\w* state\b|\bstate\b.*\bload/i;
/** anvil writes its whole state at this interval and at its end; a power cut costs at most so much of the chain. */
const STATE_SECONDS = 5;

/** Between the end of a chain that ended by itself and its next start; twice as long after each start that fails. */
const RESTART_MS = 1_000;
const RESTART_MOST_MS = 60_000;

function anvilPath(): string {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string];
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  try {
    const require = createRequire(import.meta.url);
    const tool = createRequire(require.resolve('@foundry-rs/anvil/package.json'));
    return tool.resolve(`${name}/bin/anvil`);
  } catch {
    throw new EdgeError('CHAIN_PROGRAM', `no ${name} among the installed packages`);
  }
}

/** A running anvil. `ended` resolves when it no longer runs, for whatever reason. */
type Anvil = { port: number; version: string; ended: Promise<void> };

/** That anvil can't read its state, rather than listen, say. */
class DamagedState extends EdgeError {}

export class EmbeddedChain {
  readonly #state: string;
  readonly #report: (line: string) => void;
  readonly #stopping = new AbortController();
  #anvil: Anvil | undefined;
  #kept: Promise<void> | undefined;

  private constructor(state: string, report: (line: string) => void) {
    this.#state = state;
    this.#report = report;
  }

  /**
   * @param port 0 takes any free one
   * @throws EdgeError CHAIN_PROGRAM
   */
  static async start(folder: string, port: number, report: (line: string) => void): Promise<EmbeddedChain> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const chain = new EmbeddedChain(join(folder, 'anvil-state.json'), report);
    chain.#anvil = await chain.#begin(port);
    chain.#kept = chain.#keep(chain.#anvil);
    return chain;
  }

  get rpc(): string {
    return `http://127.0.0.1:${this.#anvil?.port}`;
  }

  get version(): string {
    return this.#anvil?.version ?? 'anvil';
  }

  /** Lets anvil write its state and end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#kept;
  }

  /** A chain that ends by itself (the kernel was short of memory, say) is started again on the same port. */
  async #keep(anvil: Anvil): Promise<void> {
    const { signal } = this.#stopping;
    await anvil.ended;
    for (let pause = RESTART_MS; !signal.aborted; ) {
      try {
        this.#report(`chain: anvil has ended, it is started again in ${pause / 1000} s`);
        await delay(pause, undefined, { signal });
        const { ended } = await this.#begin(anvil.port);
        pause = RESTART_MS;
        await ended;
      } catch (error) {
        if (!signal.aborted) this.#report(`chain: ${errorLine(error)}`);
        pause = Math.min(2 * pause, RESTART_MOST_MS);
      }
    }
  }

  async #begin(port: number): Promise<Anvil> {
    try {
      return await this.#spawn(port);
    } catch (error) {
      if (!(error instanceof DamagedState) || this.#stopping.signal.aborted) throw error;
      // Torn by a power cut, most likely: a new chain begins, and the log is anchored on it again.
      const aside = `${this.#state}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`;
      renameSync(this.#state, aside);
      this.#report(`chain: ${error.detail}; its state is set aside as ${aside}, a new chain begins`);
      return this.#spawn(port);
    }
  }

  async #spawn(port: number): Promise<Anvil> {
    const args = ['--host', '127.0.0.1', '--port', String(port), '--chain-id', String(EMBEDDED_CHAIN_ID)];
    args.push('--state', this.#state, '--state-interval', String(STATE_SECONDS), '--preserve-historical-states');
    args.push('--accounts', '1');
    // Ctrl-C does not reach it either: we still anchor at our end.
    const guard = spawn('/bin/sh', ['-c', GUARD, 'chain', anvilPath(), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const end = (): void => {
      guard.stdin.end();
    };
    const { signal } = this.#stopping;
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    guard.stdin.on('error', () => undefined); // it may be gone already
    // Not 'exit': what it said at its end is to be heard first.
    const ended = new Promise<void>((resolve) => guard.once('close', () => resolve()));
    void ended.then(() => signal.removeEventListener('abort', end));
    const said: string[] = [];
    let version = 'anvil';
    try {
      const listening = await new Promise<number>((resolve, reject) => {
        const fail = (why: string, Type = EdgeError) =>
          reject(new Type('CHAIN_PROGRAM', said[0] === undefined ? why : `${why}: ${said[0]}`));
        const timer = setTimeout(() => fail(`anvil did not listen within ${START_MS / 1000} s`), START_MS);
        guard.once('error', (error) => fail(error.message));
        void ended.then(() => {
          clearTimeout(timer);
          fail(`anvil ended with code ${guard.exitCode}`, said.some((l) => STATE.test(l)) ? DamagedState : EdgeError);
        });
        createInterface({ input: guard.stdout }).on('line', (line) => {
          const heard = /^Listening on [^:]+:(\d+)$/.exec(line);
          if (heard) {
            clearTimeout(timer);
            resolve(Number(heard[1]));
          } else if (/^\s*(\d+\.\d+\.\d+)/.test(line)) version = `anvil ${line.trim().split(' ')[0]}`;
        });
        createInterface({ input: guard.stderr }).on('line', (line) => {
          if (line.trim() && said.length < 50) said.push(line.trim());
        });
      });
      return { port: listening, version, ended };
    } catch (error) {
      end();
      throw error;
    }
  }
}
