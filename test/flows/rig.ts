/** The palette package as a stranger installs it, in a real Node-RED of its own, and what its flows said. */
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { ROOT, type Running, run, start } from '../support/cli.ts';
import { tempFolder, until } from '../support/temp.ts';

export type Version = 'node-red' | 'node-red-4';
export type FlowNode = { id: string; type: string; [property: string]: unknown };
export type Said = { node: string; msg: Record<string, never> & { payload: never } };

let made: Promise<string | undefined> | undefined;
let madeIn: string | undefined;
afterAll(() => {
  if (madeIn) rmSync(madeIn, { recursive: true, force: true, maxRetries: 5 });
});

/**
 * A user folder into which npm has installed the packed package and what it depends on, once for a file of tests.
 * Undefined where that cannot be: there is neither a network nor a full npm cache.
 */
export function installed(): Promise<string | undefined> {
  made ??= install();
  return made;
}

async function install(): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'sejong-edge-flows-'));
  madeIn = folder;
  const packed = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: join(ROOT, 'flows') });
  if (packed.code !== 0) throw new Error(packed.stderr);
  const { filename } = (JSON.parse(packed.stdout) as [{ filename: string }])[0];
  writeFileSync(join(folder, 'package.json'), '{"name": "user-folder", "private": true}');
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--omit=dev'];
  const { code, stderr } = await run('npm', ['install', ...quiet, join(folder, filename)], { cwd: folder });
  if (code === 0) return folder;
  if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ENOTCACHED|ETIMEDOUT/.test(stderr)) throw new Error(stderr);
  console.warn('npm cannot fetch what the palette package depends on: its tests in Node-RED are skipped');
  return undefined;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class NodeRed {
  readonly version: Version;
  readonly folder: string;
  readonly url: string;
  /** Environment of the process. */
  readonly env: NodeJS.ProcessEnv;
  #running: Running | undefined;

  private constructor(version: Version, folder: string, port: number, env: NodeJS.ProcessEnv) {
    this.version = version;
    this.folder = folder;
    this.env = env;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Ends with the test. */
  static async start(
    version: Version,
    installedFolder: string,
    { env = {}, lang = 'en-US' }: { env?: NodeJS.ProcessEnv; lang?: string } = {},
  ): Promise<NodeRed> {
    const folder = tempFolder();
    cpSync(join(installedFolder, 'node_modules'), join(folder, 'node_modules'), { recursive: true });
    cpSync(join(installedFolder, 'package.json'), join(folder, 'package.json'));
    const port = await freePort();
    const settings = {
      ...{ uiHost: '127.0.0.1', uiPort: port, userDir: folder, flowFile: 'flows.json', lang },
      ...{ credentialSecret: randomUUID(), diagnostics: { enabled: false }, telemetry: { enabled: false } },
      editorTheme: { tours: false, projects: { enabled: false } },
    };
    writeFileSync(join(folder, 'settings.js'), `module.exports = ${JSON.stringify(settings)}`);
    const made = new NodeRed(version, folder, port, {
      SEJONG_EDGE_GATEWAY_FILE: join(folder, 'gateway.json'),
      ...env,
    });
    await made.up();
    return made;
  }

  /** Starts, or starts again. */
  async up(): Promise<void> {
    const red = join(ROOT, 'node_modules', this.version, 'red.js');
    this.#running = start(process.execPath, [red, '-s', join(this.folder, 'settings.js')], { env: this.env });
    // Its log is in the language that it was started in, so it is asked.
    const listens = () =>
      fetch(`${this.url}/nodes`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(() => listens(), 'it listens', 30_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.lines.join('\n')}`);
    });
  }

  async down(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#running?.stop(signal);
  }

  get lines(): string[] {
    return this.#running?.lines ?? [];
  }

  async #api(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<string> {
    const answer = await fetch(this.url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return text;
  }

  /** The node types of our package that it has loaded, and what it says is wrong with them. */
  async types(): Promise<{ types: string[]; errors: string[] }> {
    const sets = JSON.parse(await this.#api('/nodes')) as { module: string; types: string[]; err?: string }[];
    const ours = sets.filter(({ module }) => module === 'node-red-contrib-sejong-edge');
    return { types: ours.flatMap(({ types }) => types), errors: ours.flatMap(({ err }) => err ?? []) };
  }

  async deploy(nodes: readonly FlowNode[]): Promise<void> {
    const tab = { id: 'tab', type: 'tab', label: 'test' };
    const config = (node: FlowNode): boolean => node.type === 'edge-gateway';
    const flows = [tab, ...nodes.map((node, i) => (config(node) ? node : { z: 'tab', x: 200, y: 40 * i, ...node }))];
    await this.#api('/flows', { flows }, { 'Node-RED-API-Version': 'v2', 'Node-RED-Deployment-Type': 'full' });
  }

  /** Sends a message into what an inject node is wired to. */
  async inject(id: string, properties: Record<string, unknown>): Promise<void> {
    const props = Object.entries(properties).map(([p, v]) => ({ p, v: JSON.stringify(v), vt: 'json' }));
    await this.#api(`/inject/${id}`, { __user_inject_props__: props });
  }

  /** What came out so far, in its order. @param file that of {@link writes} */
  said(file = 'said'): Said[] {
    const path = join(this.folder, `${file}.jsonl`);
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n');
    lines.pop(); // the last one has no end yet
    return lines.map((line) => JSON.parse(line) as Said);
  }

  /** Files in which nodes keep how far they have come. */
  places(): string[] {
    const folder = join(this.folder, 'sejong-edge');
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  /** The next that a node said, after `seen` of them. */
  async next(node: string, seen = 0, what: (said: Said) => boolean = () => true): Promise<Said['msg']> {
    const found = () => this.said().filter((said) => said.node === node && what(said))[seen];
    await until(() => found() !== undefined, `${node} says something`, 30_000).catch((error: Error) => {
      const heard = this.said().map(({ node: n, msg }) => `${n}: ${JSON.stringify(msg).slice(0, 300)}`);
      throw new Error(`${error.message}\n${heard.slice(-10).join('\n')}\n${this.lines.slice(-10).join('\n')}`);
    });
    return (found() as Said).msg;
  }
}

/** Nodes that append each message to a file, one line each, in order; `to` get it when it is written. */
export function writes(folder: string, name: string, { file = 'said', to = [] as string[] } = {}): FlowNode[] {
  return [
    {
      id: name,
      type: 'function',
      func: `const { req, res, ...rest } = msg; return { ...msg, line: JSON.stringify({ node: ${JSON.stringify(name)}, msg: rest }) };`,
      outputs: 1,
      wires: [[`${name}-file`]],
    },
    {
      id: `${name}-file`,
      type: 'change',
      rules: [
        { t: 'move', p: 'payload', pt: 'msg', to: 'kept', tot: 'msg' },
        { t: 'move', p: 'line', pt: 'msg', to: 'payload', tot: 'msg' },
      ],
      wires: [[`${name}-append`]],
    },
    {
      ...{ id: `${name}-append`, type: 'file', filename: join(folder, `${file}.jsonl`), filenameType: 'str' },
      ...{ appendNewline: true, createDir: false, overwriteFile: 'false', encoding: 'utf8', wires: [to] },
    },
  ];
}

/** An inject node that does nothing by itself. */
export const injects = (id: string, ...to: string[]): FlowNode => ({
  ...{ id, type: 'inject', props: [], repeat: '', crontab: '', once: false, wires: [to] },
});
