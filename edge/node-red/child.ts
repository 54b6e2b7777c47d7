/**
 * Node-RED's own process: what an engineer's flow does to it, it does to nobody else. Started by host.ts only, with all
 * that it needs over the channel; nothing of the gateway is imported here.
 */
import { readSync, writeSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { type Begin, CHANNEL_FD, lineCutter, MAX_LINE, type Told } from './messages.ts';
import { ADMIN_ROOT, flowsSettings, type LogMessage, PAGES_ROOT } from './settings.ts';

/** As far as it is used here: the package has no types. */
type Red = {
  init: (server: Server, settings: object) => void;
  start: () => Promise<void>;
  stop: () => Promise<void>;
  httpAdmin: RequestListener;
  httpNode: RequestListener;
  events: { on: (event: string, listener: (told: { id: string; payload?: { state?: string } }) => void) => void };
  version: string | (() => string);
};
type Express = () => RequestListener & {
  use: (root: string, app: RequestListener) => void;
  disable: (name: string) => void;
};

const ALIVE_MS = 1000;
const MAX_TEXT = 2000;
/** Connections at once to editor and pages together. */
const MAX_CONNECTIONS = 256;
const ERROR = 20;
const WARNING = 30;

const tell = (told: Told): void => {
  try {
    writeSync(CHANNEL_FD, `${JSON.stringify(told)}\n`);
  } catch {
    // The host has gone; the guard ends us.
  }
};

/** Of an error too that comes from the realm of a function node, and so is of no class that is known here. */
const textOf = (value: unknown): string => {
  const message = (value as { message?: unknown } | null | undefined)?.message;
  const text = typeof value === 'string' ? value : typeof message === 'string' ? message : JSON.stringify(value);
  return String(text).slice(0, MAX_TEXT);
};

function logged({ level, msg, type, name, id }: LogMessage): void {
  const where = type === undefined ? '' : `[${type}:${name || id}] `;
  // Node-RED warns of what is as it should be (no projects, no credentials yet); a node that warns means it.
  const isWarning = level <= ERROR || (level <= WARNING && type !== undefined);
  for (const line of textOf(msg).split('\n'))
    if (line.trim() !== '') tell({ tell: 'log', level: isWarning ? 'warn' : 'info', text: where + line });
}

function die(why: string, byFlow: boolean): never {
  tell({ tell: 'dying', why, byFlow });
  process.exit(1);
}

/** Nothing else is to be done before. */
function firstLine(): string {
  let line: string | undefined;
  const cut = lineCutter(MAX_LINE, (text) => {
    line ??= text;
  });
  const bytes = Buffer.alloc(4096);
  while (line === undefined) {
    const n = readSync(CHANNEL_FD, bytes);
    if (n === 0) process.exit(1); // the host has gone
    cut(bytes.subarray(0, n));
  }
  return line;
}

const listen = (server: Server, port: number, host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });

/** Under Node's permissions no file can be flushed, and Node-RED would warn of each one: the host does it. */
function handOverFsync(fs: { fsync: (fd: number, done: (error: Error | null) => void) => void }): void {
  fs.fsync = (_, done) => {
    tell({ tell: 'wrote' });
    process.nextTick(done, null);
  };
}

async function serve(begin: Begin): Promise<void> {
  const require = createRequire(import.meta.url);
  handOverFsync(require('node:fs'));
  const red = createRequire(require.resolve('node-red'));
  const express = red('express') as Express;
  const RED = require('node-red') as Red;
  const app = express();
  app.disable('x-powered-by');
  const server = createServer(app);
  server.maxConnections = MAX_CONNECTIONS;
  RED.init(server, flowsSettings(begin, logged));
  app.use(ADMIN_ROOT, RED.httpAdmin);
  app.use(PAGES_ROOT, RED.httpNode);
  RED.events.on('runtime-event', ({ id, payload }) => {
    if (id !== 'runtime-state' || payload?.state === undefined) return;
    tell({ tell: 'flows', state: payload.state === 'start' ? 'started' : 'stopped' });
  });
  process.on('uncaughtException', (error: unknown) => die(`nobody caught this in a flow: ${textOf(error)}`, true));
  let stopping = false;
  process.on('SIGTERM', () => {
    if (stopping) return;
    stopping = true;
    RED.stop().then(
      () => process.exit(0),
      (error: unknown) => die(textOf(error), false),
    );
  });
  await RED.start();
  const port = await listen(server, begin.port, begin.host).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || !begin.anyPort) throw error;
    return listen(server, 0, begin.host);
  });
  server.on('error', (error) => die(textOf(error), false));
  tell({ tell: 'listening', port, version: typeof RED.version === 'function' ? RED.version() : RED.version });
}

const begin = JSON.parse(firstLine()) as Begin;
const alive = (): void => tell({ tell: 'alive', pid: process.pid });
setInterval(alive, ALIVE_MS);
alive();
serve(begin).catch((error: unknown) => die(textOf(error), false));
