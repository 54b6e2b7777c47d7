/** What lies beneath the nodes, without Node-RED: logins that end, and logs that are not the one that was read. */
import { cpSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

type Problem = { code: string; status?: number };
type State = { state: string; problem?: Problem };
type Flows = { close: () => void; watch: (watcher: (state: State) => void) => void };
type Place = object;
type Reader = {
  start: () => void;
  confirm: (index: number) => Promise<boolean>;
  close: (gone: boolean) => Promise<void>;
};

const require = createRequire(import.meta.url);
const load = (name: string) =>
  require(`../../flows/lib/${name}.cjs`) as Record<string, new (...args: unknown[]) => never>;
const { Gateway } = load('gateway');
const { Readings } = load('readings');
const { PlaceFile } = load('places');
const { NewsPlace } = load('news-place');
const RED = { _: (key: string) => key };

function flowsOf(login: object): Flows & { states: State[] } {
  const made = new (Gateway as NonNullable<typeof Gateway>)(RED, login) as Flows;
  onTestFinished(() => made.close());
  const states: State[] = [];
  made.watch((state) => states.push(state));
  return Object.assign(made, { states });
}

function read(gateway: Flows, folder: string, options: object = {}) {
  const told: number[] = [];
  const failed: Problem[] = [];
  const reader = new (Readings as NonNullable<typeof Readings>)({
    ...{ gateway, from: 'stopped', first: 'start', index: 0, ack: 'auto', max: 10, onProgress: () => undefined },
    place: new (PlaceFile as NonNullable<typeof PlaceFile>)(folder, 'node') as Place,
    wants: ({ kind }: { kind: string }) => (kind === 'meter' ? {} : undefined),
    tell: ({ index }: { index: number }) => told.push(index),
    fail: (fault: { problem: Problem }) => failed.push(fault.problem),
    ...options,
  }) as Reader;
  reader.start();
  onTestFinished(() => reader.close(false));
  return { reader, told, failed };
}

async function publish(gateway: TestGateway, device: TestDevice, n: number): Promise<void> {
  for (let i = 0; i < n; i++)
    await gateway.parts.accept.offer(device.envelope(), { did: device.did, topic: `up/${device.did}/cose` });
}

describe('a login that is kept in a file', () => {
  it('is read anew when the token in it is revoked, and the flow goes on where it was', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('file').enrol(gateway);
    const folder = tempFolder();
    const file = join(folder, 'gateway.json');
    const renew = async (): Promise<string> => {
      const { body } = await gateway.api('/tokens', { method: 'POST', body: { role: 'viewer', name: 'flows' } });
      const { token, id } = body as { token: string; id: string };
      writeFileSync(`${file}.new`, JSON.stringify({ url: gateway.info.http, token }));
      renameSync(`${file}.new`, file);
      return id;
    };
    const id = await renew();
    const flows = flowsOf({ auth: 'file', file });
    const { told } = read(flows, folder);
    await publish(gateway, device, 3);
    await until(() => told.length === 3, 'three are told');
    await gateway.api(`/tokens/${id}/revoke`, { method: 'POST', body: {} });
    await until(() => flows.states.at(-1)?.problem?.code === 'TOKEN_INVALID', 'it is refused');
    await publish(gateway, device, 2);
    await renew();
    await until(() => told.length === 5, 'all are told');
    expect(new Set(told).size).toBe(5);
    await gateway.finish();
  });
});

describe('another log than the one that was read', () => {
  it('that is an old copy of it is said, and not taken for it', async () => {
    const first = await startTestGateway();
    const device = await new TestDevice('copy').enrol(first);
    await publish(first, device, 3);
    const port = Number(new URL(first.info.http).port);
    const { dataFolder } = first.config;
    await first.finish();
    const copy = join(tempFolder(), 'copy');
    cpSync(dataFolder, copy, { recursive: true });

    const second = await startTestGateway({ dataFolder, http: { port } });
    const login = { auth: 'token', url: second.info.http };
    const place = tempFolder();
    const before = read(flowsOf({ ...login, token: await second.token('viewer') }), place);
    await publish(second, device, 5);
    await until(() => before.told.length === 8, 'all are told');
    await before.reader.close(false);
    await second.finish();

    const third = await startTestGateway({ dataFolder: copy, http: { port } });
    const after = read(flowsOf({ ...login, token: await third.token('viewer') }), place);
    await until(() => after.failed.length > 0, 'it is noticed');
    expect(after.failed.map(({ code }) => code)).toEqual(['FLOW_LOG_REWOUND']);
    const other = await new TestDevice('copy two').enrol(third);
    await publish(third, other, 1);
    await until(() => after.told.length > 0, 'it goes on');
    expect(after.told).toHaveLength(1);
    await third.finish();
  });

  it('is read from its start where it is the next one of the same gateway', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('next').enrol(gateway);
    await publish(gateway, device, 2);
    const folder = tempFolder();
    const { did } = gateway.info;
    const saved = new (PlaceFile as NonNullable<typeof PlaceFile>)(folder, 'node') as {
      save: (make: () => object) => Promise<void>;
    };
    await saved.save(() => ({ did, log: 'an.earlier/log', next: 5000, waiting: [] }));
    const { told, failed } = read(
      flowsOf({ auth: 'token', url: gateway.info.http, token: await gateway.token('viewer') }),
      folder,
    );
    await until(() => told.length === 2, 'both are told');
    expect(failed).toEqual([]);
    await gateway.finish();
  });
});

describe('the place among certificates', () => {
  type News = { passes: (place: string, data: string) => boolean; text: string; toJSON: () => object };
  const make = (saved: object) => new (NewsPlace as NonNullable<typeof NewsPlace>)('certificate', saved) as News;

  it('tells each once, two of one transaction too, and none that was for another reader', () => {
    const place = make({ place: '100-5-0', since: '100-5-0' });
    expect(place.passes('100-5-0', 'what was before'), 'it began after that').toBe(false);
    expect(place.passes('90-4-9', 'of a reader that is behind')).toBe(false);
    expect(place.passes('100-6-2', 'first')).toBe(true);
    expect(place.passes('100-6-2', 'second, at the same place')).toBe(true);
    expect(place.passes('100-6-2', 'second, at the same place')).toBe(false);
    expect(place.passes('100-6-1', 'older')).toBe(false);
    expect(place.passes('101-6-1', 'made since, told by a stream that is behind on the chain')).toBe(true);
    expect(place.text).toBe('101-6-2');
    const again = make(place.toJSON());
    expect(again.passes('101-6-2', 'first'), 'it outlives a restart').toBe(false);
    expect(again.passes('101-6-2', 'third, which the connection had ended before')).toBe(true);
  });
});
