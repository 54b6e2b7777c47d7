/**
 * Hosts Node-RED: a child process that may use so much memory and no more, is nicer than we are, ends with us, and is
 * started again when it ends by itself. Nothing here waits for it, and nothing of the gateway is in it.
 *
 * What a flow can do: loop for ever (its loop stands still: it is killed), throw where nobody catches it (Node-RED ends),
 * eat memory (V8 ends it, or we do). Each is a crash. After some in a short time it is started in safe mode, so that there
 * is an editor to repair the flow in.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, sep } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EdgeError, errorLine } from '../errors.ts';
import { GUARD } from '../guard.ts';
import {
  flush,
  type GatewayAccess,
  gatewayFile,
  prepareFolder,
  type Secrets,
  userDirOf,
  writeAccess,
} from './folder.ts';
import { LineBudget } from './line-budget.ts';
import { type Begin, CHANNEL_FD, lineCutter, MAX_LINE, type Told } from './messages.ts';
import { type FlowsState, removeState, writeState } from './state.ts';
import { type Limits, LOOK_MS, Watched } from './watched.ts';

const ROOT = realpathSync(fileURLToPath(new URL('../../', import.meta.url)));
const CHILD = join(ROOT, 'edge', 'node-red', 'child.ts');
/** Node-RED packages that come with the gateway. */
export const PALETTE = join(ROOT, 'flows');

/** Between a crash and the next start; twice as long after each further one, until a run was a healthy one. */
const PAUSE_MS = 1_000;
const PAUSE_MOST_MS = 60_000;
const HEALTHY_MS = 60_000;
/** So many crashes in that time, and no flow is started. */
const SAFE_AFTER = 3;
const SAFE_WITHIN_MS = 600_000;
/** Until a stop by word becomes one by force. */
const STOP_MS = 1_500;
/** Flows get a new token so often; each is valid for a multiple of it. */
const RENEW_MS = 30 * 60_000;
/** After Node-RED has written a file: it writes it under another name, and renames it. */
const FLUSH_MS = 200;
/** The kernel, short of memory, ends the process with the highest of these first. */
const OOM_SCORE = 1_000;
/** In a shell, which then becomes Node: no file larger than that, all its threads nice, and first to go. */
const LOWLY = `ulimit -f "$1"; shift; { echo ${OOM_SCORE} > /proc/self/oom_score_adj; } 2>/dev/null; exec nice -n "$0" "$@"`;
/** ulimit's, of 512 bytes. */
const BLOCKS_OF_MB = 2048;
const OUT_OF_HEAP = /JavaScript heap out of memory/;

export type FlowsOptions = Limits & {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Where the port is taken, any free one will do. */
  anyPort: boolean;
  nice: number;
  /** A new token of an engineer, and where the gateway is. */
  access: () => Promise<GatewayAccess>;
  say: (line: string, level: 'info' | 'warn') => void;
  /** Folders of Node-RED packages; those that come with the gateway where it is left out. */
  palette?: string[];
  /** Between the first crash and the next start. */
  pauseMs?: number;
};

type Ended = { why: string; byFlow: boolean };

export class FlowsHost {
  readonly #o: FlowsOptions;
  readonly #stopping = new AbortController();
  readonly #lines: LineBudget;
  #secrets: Secrets | undefined;
  #kept: Promise<void> | undefined;
  #renewing: NodeJS.Timeout | undefined;
  #flushing: NodeJS.Timeout | undefined;
  #state: FlowsState;
  #changed: (() => void)[] = [];
  #crashesMs: number[] = [];
  /** Times that flows were started, by a start or by a deployment. */
  starts = 0;

  constructor(options: FlowsOptions) {
    this.#o = options;
    this.#lines = new LineBudget(options.say);
    this.#state = {
      ...{ pid: process.pid, state: 'starting', url: null, version: null, crashes: 0, why: null, sinceMs: Date.now() },
    };
  }

  get folder(): string {
    return this.#o.folder;
  }

  get state(): FlowsState {
    return this.#state;
  }

  /** Resolves as soon as the state is such a one; not at all where it never is. */
  async until(condition: (state: FlowsState) => boolean): Promise<FlowsState> {
    while (!condition(this.#state))
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
      });
    return this.#state;
  }

  /**
   * Prepares the folder and begins; the editor is up when `state` says so.
   * @throws EdgeError KEY_UNREADABLE, FLOWS_PROGRAM
   */
  async start(): Promise<void> {
    programPath();
    this.#secrets = await prepareFolder(this.#o.folder, join(PALETTE, 'examples'));
    await this.renew();
    this.#renewing = setInterval(() => {
      this.renew().catch((error: unknown) => this.#o.say(`flows: ${errorLine(error)}`, 'warn'));
    }, RENEW_MS);
    if (this.#stopping.signal.aborted) return this.#tidy();
    this.#kept = this.#keep();
  }

  /** Hands the flows a new token, and the place where the gateway is by now. */
  async renew(): Promise<void> {
    writeAccess(this.#o.folder, await this.#o.access());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#kept;
    this.#tidy();
  }

  #tidy(): void {
    clearInterval(this.#renewing);
    clearTimeout(this.#flushing);
    this.#lines.stop();
    removeState(this.#o.folder);
  }

  #is(change: Partial<FlowsState>): void {
    this.#state = { ...this.#state, ...change, sinceMs: Date.now() };
    try {
      writeState(this.#o.folder, this.#state);
    } catch (error) {
      this.#o.say(`flows: ${errorLine(error)}`, 'warn'); // a full disk: then nobody is told
    }
    for (const wake of this.#changed.splice(0)) wake();
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    const { pauseMs = PAUSE_MS } = this.#o;
    let pause = pauseMs;
    while (!signal.aborted) {
      const began = performance.now();
      const safe = this.#isUnsafe(began);
      this.#is({ state: 'starting' });
      const { why, byFlow } = await this.#runOnce(safe);
      if (signal.aborted) return;
      const now = performance.now();
      if (now - began >= HEALTHY_MS) pause = pauseMs;
      if (byFlow) this.#crashesMs = [...this.#crashesMs.slice(1 - SAFE_AFTER), now];
      const how = this.#isUnsafe(now) ? 'in safe mode, with no flow running, ' : '';
      const after = `it is started again ${how}in ${pause / 1000} s`;
      this.#o.say(new EdgeError('FLOWS_CRASHED', `${why}; ${after}`).line, 'warn');
      this.#is({ state: 'waiting', crashes: this.#state.crashes + 1, why });
      await delay(pause, undefined, { signal }).catch(() => undefined);
      pause = Math.min(2 * pause, PAUSE_MOST_MS);
    }
  }

  #isUnsafe(now: number): boolean {
    const [oldest] = this.#crashesMs;
    return this.#crashesMs.length >= SAFE_AFTER && oldest !== undefined && now - oldest < SAFE_WITHIN_MS;
  }

  /** From its start to its end, which is asked for, or is its own, or ours where it does what it must not. */
  async #runOnce(safeMode: boolean): Promise<Ended> {
    const { signal } = this.#stopping;
    const guard = this.#spawn();
    const killGroup = (): void => killAll(guard);
    process.once('exit', killGroup);
    let force: NodeJS.Timeout | undefined;
    const end = (): void => {
      guard.stdin?.end();
      force = setTimeout(killGroup, STOP_MS);
    };
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const watched = new Watched(this.#o);
    const timer = setInterval(() => watched.look(), LOOK_MS);
    const channel = guard.stdio[CHANNEL_FD] as Duplex | null;
    for (const stream of [guard.stdin, channel]) stream?.on('error', () => undefined); // it may be gone already
    const { host, port, anyPort, palette = [PALETTE], folder } = this.#o;
    const nodesDirs = palette.filter((path) => existsSync(join(path, 'package.json')));
    const userDir = userDirOf(folder);
    const begin = { userDir, nodesDirs, host, port, anyPort, safeMode, ...(this.#secrets as Secrets) } satisfies Begin;
    channel?.write(`${JSON.stringify(begin)}\n`);
    channel?.on(
      'data',
      lineCutter(MAX_LINE, (line) => this.#hear(line, watched, safeMode)),
    );
    for (const stream of [guard.stdout, guard.stderr])
      stream?.on(
        'data',
        lineCutter(MAX_LINE, (line) => {
          if (OUT_OF_HEAP.test(line)) watched.blame(`it used more than ${heapMb(this.#o.maxMemoryMb)} MB of heap`);
          if (line.trim() !== '') this.#lines.say(line);
        }),
      );
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        guard.once('error', (error) => reject(new EdgeError('FLOWS_PROGRAM', error.message)));
        guard.once('close', resolve);
      });
      if (code === null) killGroup(); // somebody killed the shell
      return {
        why:
          watched.why ?? (code !== null && code > 128 ? `signal ${code - 128} ended it` : `it ended with code ${code}`),
        byFlow: watched.byFlow,
      };
    } catch (error) {
      return { why: errorLine(error), byFlow: false };
    } finally {
      clearInterval(timer);
      clearTimeout(force);
      process.removeListener('exit', killGroup);
      signal.removeEventListener('abort', end);
    }
  }

  #hear(line: string, watched: Watched, safeMode: boolean): void {
    let told: Told;
    try {
      told = JSON.parse(line) as Told;
    } catch {
      return; // cut off
    }
    watched.alive();
    if (told.tell === 'alive') watched.pid = told.pid;
    else if (told.tell === 'wrote') this.#flush();
    else if (told.tell === 'dying') {
      watched.blame(told.why);
      watched.byFlow = told.byFlow;
    } else if (told.tell === 'log') this.#lines.say(told.text, told.level);
    else if (told.tell === 'listening') {
      watched.listens = true;
      const url = `http://${this.#o.host.includes(':') ? `[${this.#o.host}]` : this.#o.host}:${told.port}/`;
      // Flows may have been started before by now, but not in safe mode.
      this.#is({ state: safeMode ? 'safe' : 'running', url, version: told.version });
      if (safeMode) this.#o.say(new EdgeError('FLOWS_SAFE_MODE', `the editor is at ${url}`).line, 'warn');
    } else if (told.tell === 'flows' && told.state === 'started') {
      this.starts++;
      watched.flowsRun = true;
      // In safe mode somebody has deployed. Before it listens it is not up yet.
      this.#is(watched.listens ? { state: 'running' } : {});
    }
  }

  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = setTimeout(() => {
      flush(this.#o.folder).catch((error: unknown) => this.#o.say(`flows: ${errorLine(error)}`, 'warn'));
    }, FLUSH_MS);
  }

  #spawn(): ChildProcess {
    const { folder, palette = [PALETTE], maxMemoryMb, maxDiskMb, nice } = this.#o;
    const fileBlocks = String(maxDiskMb * BLOCKS_OF_MB);
    const userDir = realpathSync(userDirOf(folder));
    const modules = modulesFolder();
    const readable = [
      join(ROOT, 'package.json'),
      join(ROOT, 'node_modules'),
      join(ROOT, 'edge', 'node-red'),
      ...[modules, ...palette.filter((path) => existsSync(path)).map((path) => realpathSync(path)), userDir],
    ];
    const flags = [
      '--permission',
      ...readable.map((path) => `--allow-fs-read=${path}`),
      `--allow-fs-write=${userDir}`,
      `--max-old-space-size=${heapMb(maxMemoryMb)}`,
      '--max-semi-space-size=2',
    ];
    const { PATH = '/usr/bin:/bin', LANG, TZ } = process.env;
    return spawn(
      '/bin/sh',
      ['-c', GUARD, 'flows', '/bin/sh', '-c', LOWLY, String(nice), fileBlocks, process.execPath, ...flags, CHILD],
      {
        stdio: ['pipe', 'pipe', 'pipe', 'ignore', 'pipe'],
        // Ctrl-C of the terminal comes to us, and we end it.
        detached: true,
        cwd: userDir,
        // Nothing of ours, which may hold a passphrase or an operator's token: a flow can read all of it.
        env: {
          PATH,
          HOME: userDir,
          ...(LANG === undefined ? {} : { LANG }),
          ...(TZ === undefined ? {} : { TZ }),
          SEJONG_EDGE_GATEWAY_FILE: gatewayFile(folder),
        },
      },
    );
  }
}

/** Buffers lie beside the heap, and are in the whole. */
const heapMb = (maxMemoryMb: number): number => Math.floor(maxMemoryMb / 2);

function killAll({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** @throws EdgeError FLOWS_PROGRAM */
function programPath(): string {
  try {
    return realpathSync(createRequire(import.meta.url).resolve('node-red'));
  } catch {
    throw new EdgeError('FLOWS_PROGRAM', 'no node-red among the installed packages');
  }
}

const modulesFolder = (): string => {
  const path = programPath();
  const name = `${sep}node_modules${sep}`;
  return path.slice(0, path.lastIndexOf(`${name}node-red${sep}`) + name.length - 1);
};
