/** A real Node-RED beside a gateway of the test's own, and its admin API as an engineer's editor uses it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { passwordFile } from '../../edge/node-red/folder.ts';
import { FlowsHost, type FlowsOptions } from '../../edge/node-red/host.ts';
import { onTestFinished } from '../support/ends.ts';
import type { TestGateway } from '../support/gateway.ts';

export type FlowNode = { id: string; type: string; [key: string]: unknown };
export type TestFlows = {
  host: FlowsHost;
  lines: string[];
  url: () => string;
  /** With the engineer's session. */
  admin: (path: string, init?: RequestInit) => Promise<Response>;
  session: () => Promise<string>;
  /** Presses the button of an inject node, with these in the message. */
  press: (id: string, properties?: Record<string, unknown>) => Promise<void>;
  /** All flows are these from now on; resolves when they are written and started. */
  deploy: (nodes: readonly FlowNode[]) => Promise<void>;
};

/** @param ends who stops it, where that is not the test that runs */
export async function startFlows(
  gateway: Pick<TestGateway, 'config' | 'info' | 'token'>,
  over: Partial<FlowsOptions> = {},
  ends: (end: () => Promise<void>) => void = onTestFinished,
): Promise<TestFlows> {
  const lines: string[] = [];
  const folder = join(gateway.config.dataFolder, 'flows');
  const host = new FlowsHost({
    ...gateway.config.flows,
    ...{ folder, port: 0, anyPort: false, say: (line) => lines.push(line) },
    access: async () => ({
      url: gateway.info.http,
      mqtt: gateway.info.mqtt,
      token: await gateway.token('engineer'),
      expiresMs: Date.now() + 600_000,
    }),
    ...over,
  });
  ends(() => host.stop());
  await host.start();
  await host.until(({ state }) => state === 'running');
  const url = (): string => host.state.url as string;
  // Sessions of editors outlive a restart: they are in the user's folder.
  let made: string | undefined;
  const session = async (): Promise<string> => {
    made ??= await login(url(), readFileSync(passwordFile(folder), 'utf8').trim());
    return made;
  };
  const admin: TestFlows['admin'] = async (path, init = {}) =>
    fetch(new URL(path, url()), { ...init, headers: { authorization: `Bearer ${await session()}`, ...init.headers } });
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await admin(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'node-red-api-version': 'v2' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  return {
    host,
    lines,
    url,
    admin,
    session,
    press: (id, properties = {}) => {
      const props = Object.entries(properties).map(([p, v]) => ({ p, v: JSON.stringify(v), vt: 'json' }));
      return post(`/inject/${id}`, { __user_inject_props__: props });
    },
    deploy: async (nodes) => {
      const before = host.starts;
      await post('/flows', { flows: nodes });
      await host.until(() => host.starts > before);
    },
  };
}

async function login(url: string, password: string): Promise<string> {
  const answer = await logInAs(url, 'engineer', password);
  if (!answer.ok) throw new Error(`login: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { access_token: string }).access_token;
}

export const logInAs = (url: string, username: string, password: string): Promise<Response> =>
  fetch(new URL('/auth/token', url), {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'node-red-editor', grant_type: 'password', scope: '*', username, password }),
  });

/** A flow that runs `code` once, as soon as it is started, outside of what Node-RED itself can time out. */
export const runsOnce = (code: string): FlowNode[] => [
  { id: 'tab', type: 'tab', label: 'test' },
  { id: 'go', type: 'inject', z: 'tab', once: true, onceDelay: '0.1', props: [], wires: [['do']] },
  { id: 'do', type: 'function', z: 'tab', func: `setTimeout(() => { ${code} }, 0);`, outputs: 0, wires: [] },
];

export type Debugged = { id: string; name: string; msg: string; format: string };

/** The editor's debug sidebar. */
export class Sidebar {
  readonly #come: Debugged[] = [];
  readonly #waiting = new Set<() => void>();

  /** @param session of the admin API */
  static async open(url: string, session: string, ends: (end: () => void) => void = onTestFinished): Promise<Sidebar> {
    const sidebar = new Sidebar();
    const socket = new WebSocket(new URL('/comms', url.replace(/^http/, 'ws')));
    ends(() => socket.close());
    await new Promise<void>((resolve, reject) => {
      socket.onerror = () => reject(new Error(`${url} takes no editor`));
      socket.onopen = () => socket.send(JSON.stringify({ auth: session }));
      socket.onmessage = ({ data }) => {
        const told = JSON.parse(String(data)) as { auth?: string } | { topic: string; data: Debugged }[];
        if (!Array.isArray(told)) {
          if (told.auth !== 'ok') return reject(new Error(`${url} refuses the session`));
          socket.send(JSON.stringify({ subscribe: 'debug' }));
          return resolve();
        }
        sidebar.#come.push(...told.filter(({ topic }) => topic === 'debug').map((t) => t.data));
        for (const look of sidebar.#waiting) look();
      };
    });
    return sidebar;
  }

  get all(): readonly Debugged[] {
    return this.#come;
  }

  /** All that a debug node has said, newest last; objects as such. */
  of<T>(id: string): T[] {
    return this.#come
      .filter((said) => said.id === id)
      .map(({ msg, format }) => (/^(Object|array)/i.test(format) ? (JSON.parse(msg) as T) : (msg as T)));
  }

  /** The first of a debug node, so far or to come, that is as wanted. */
  async next<T>(id: string, wanted: (said: T) => boolean = () => true): Promise<T> {
    for (;;) {
      const found = this.of<T>(id).find(wanted);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const look = (): void => {
          this.#waiting.delete(look);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
  }
}
