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
  let session: string | undefined;
  const admin: TestFlows['admin'] = async (path, init = {}) => {
    session ??= await login(url(), readFileSync(passwordFile(folder), 'utf8').trim());
    return fetch(new URL(path, url()), { ...init, headers: { authorization: `Bearer ${session}`, ...init.headers } });
  };
  return {
    host,
    lines,
    url,
    admin,
    deploy: async (nodes) => {
      const before = host.starts;
      const answer = await admin('/flows', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'node-red-api-version': 'v2' },
        body: JSON.stringify({ flows: nodes }),
      });
      if (!answer.ok) throw new Error(`deploying: ${answer.status} ${await answer.text()}`);
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
