import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

type Event = { id: string; kind: string; data: Record<string, unknown> };

/** An EventSource by hand (WHATWG HTML section 9.2), which stops where it is told. */
class Reader {
  readonly #body: ReadableStreamDefaultReader<Uint8Array>;
  #text = '';
  #ended = false;
  lastId: string | undefined;

  constructor(body: ReadableStream<Uint8Array>) {
    this.#body = body.getReader();
  }

  /** The next event, or undefined when the stream has ended. */
  async next(): Promise<Event | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const fields = new Map(
          block
            .split('\n')
            .filter((line) => !line.startsWith(':'))
            .map((line) => /^(\w+): (.*)$/s.exec(line)?.slice(1) as [string, string]),
        );
        if (fields.size === 0) continue; // a comment
        expect([...fields.keys()]).toEqual(['id', 'event', 'data']);
        this.lastId = fields.get('id') as string;
        return {
          id: this.lastId,
          kind: fields.get('event') as string,
          data: JSON.parse(fields.get('data') as string) as Record<string, unknown>,
        };
      }
      if (this.#ended) return undefined;
      const { value, done } = await this.#body.read().catch(() => ({ value: undefined, done: true }));
      this.#ended = done;
      if (value) this.#text += Buffer.from(value).toString('latin1'); // ids and JSON of these tests are ASCII
    }
  }

  async take(n: number): Promise<Event[]> {
    const events: Event[] = [];
    while (events.length < n) {
      const event = await this.next();
      if (!event) throw new Error(`ended after ${events.length} of ${n} events`);
      events.push(event);
    }
    return events;
  }

  async close(): Promise<void> {
    await this.#body.cancel().catch(() => undefined);
  }
}

async function request(gateway: TestGateway, query = '', lastEventId?: string): Promise<Response> {
  const answer = await fetch(`${gateway.info.http}/events${query}`, {
    headers: {
      authorization: `Bearer ${await gateway.token('viewer')}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
  });
  return answer;
}

async function open(gateway: TestGateway, query = '', lastEventId?: string): Promise<Reader> {
  const answer = await request(gateway, query, lastEventId);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  const reader = new Reader(answer.body as ReadableStream<Uint8Array>);
  onTestFinished(() => reader.close());
  return reader;
}

const START = 'entry:0,checkpoint:0,anchor:0,quarantine:0';
const indexes = (events: Event[]): unknown[] => events.filter((e) => e.kind === 'entry').map((e) => e.data.index);
const refused = (events: Event[]): unknown[] => events.filter((e) => e.kind === 'quarantine').map((e) => e.data.id);

describe('/events', () => {
  it('begins with what comes next, and tells of entries, checkpoints and refusals as the API shows them', async () => {
    const gateway = await startTestGateway({ log: { checkpointSeconds: 3600, checkpointEntries: 1_000_000 } });
    const device = await new TestDevice('events').enrol(gateway);
    const client = await device.connect(gateway);
    await device.publish(client, device.envelope());
    await device.publish(client, Buffer.from('bad, before'));

    const reader = await open(gateway); // answers at once, although there is nothing to tell yet
    await device.publish(client, device.envelope());
    const [entry] = await reader.take(1);
    const { envelope: _, ...view } = (await gateway.api('/entries/2')).body as Record<string, unknown>;
    expect(entry).toEqual({ id: expect.any(String), kind: 'entry', data: view });

    await device.publish(client, Buffer.from('bad'));
    const [refusal] = await reader.take(1);
    const { quarantine } = (await gateway.api('/quarantine?limit=1')).body as { quarantine: unknown[] };
    expect(refusal).toEqual({ id: expect.any(String), kind: 'quarantine', data: quarantine[0] });

    await gateway.parts.log.makeCheckpoint(Date.now());
    const [checkpoint] = await reader.take(1);
    expect(checkpoint).toMatchObject({ kind: 'checkpoint', data: { size: 3 } });
    const note = (await gateway.api('/log/checkpoint', { token: null })).text;
    expect(note.split('\n').slice(1, 3)).toEqual(['3', checkpoint?.data.root]);
    await gateway.finish();
    expect(await reader.next()).toBeUndefined(); // the gateway ends it when it closes
  });

  it('is narrowed by kinds', async () => {
    const gateway = await startTestGateway({ log: { checkpointSeconds: 3600, checkpointEntries: 1_000_000 } });
    const device = await new TestDevice('kinds').enrol(gateway);
    const client = await device.connect(gateway);
    const readers = await Promise.all(
      ['entry', 'quarantine', 'checkpoint', 'checkpoint,entry', 'anchor'].map((kinds) =>
        open(gateway, `?kinds=${kinds}`),
      ),
    );
    for (let i = 0; i < 3; i++) {
      await device.publish(client, device.envelope());
      await device.publish(client, Buffer.from(`bad ${i}`));
    }
    await gateway.parts.log.makeCheckpoint(Date.now());
    await device.publish(client, device.envelope());
    const told = [];
    for (const [i, n] of [4, 3, 1, 5].entries())
      told.push((await (readers[i] as Reader).take(n)).map((e) => e.kind).sort());
    expect(told).toEqual([
      Array(4).fill('entry'),
      Array(3).fill('quarantine'),
      ['checkpoint'],
      ['checkpoint', ...Array(4).fill('entry')],
    ]);
    await gateway.finish();
    expect(await readers[4]?.next()).toBeUndefined();
  });

  it('resumes from Last-Event-ID over restarts: nothing is missed and nothing comes twice', async () => {
    let gateway = await startTestGateway();
    const { dataFolder } = gateway.config;
    const device = await new TestDevice('resume', 'sensor').enrol(gateway);
    const seen: Event[] = [];
    let lastId = START;
    let bad = 0;
    const traffic = async (entries: number, refusals: number): Promise<void> => {
      const client = await device.connect(gateway);
      await Promise.all([
        ...Array.from({ length: entries }, () => device.publish(client, device.envelope())),
        ...Array.from({ length: refusals }, () => device.publish(client, Buffer.from(`bad ${bad++}`))),
      ]);
    };
    /** Reads until it has so many entries and refusals in all, then goes as a reader does whose link breaks. */
    const readUntil = async (reader: Reader, entries: number, refusals: number): Promise<void> => {
      while (indexes(seen).length < entries || refused(seen).length < refusals) seen.push(...(await reader.take(1)));
      lastId = reader.lastId as string;
      await reader.close();
    };
    // By the header, and by the parameter; leaving in the middle, while away more than a page of each, and restarts.
    await traffic(30, 10);
    await readUntil(await open(gateway, '', lastId), 7, 0);
    await traffic(250, 230);
    await readUntil(await open(gateway, `?from=${lastId}`), 100, 20);
    await gateway.finish({ verifyOneIn: 20 });
    gateway = await startTestGateway({ dataFolder });
    await traffic(20, 3);
    await readUntil(await open(gateway, '', lastId), 200, 150);
    await traffic(5, 120);
    await gateway.close();
    gateway = await startTestGateway({ dataFolder });
    await readUntil(await open(gateway, '', lastId), 306, 363);

    expect(indexes(seen)).toEqual(Array.from({ length: 306 }, (_, i) => i));
    const { quarantine } = (await gateway.api('/quarantine?limit=1000')).body as { quarantine: { id: number }[] };
    expect(refused(seen)).toEqual(quarantine.map((q) => q.id).reverse());
    const sizes = seen.filter((e) => e.kind === 'checkpoint').map((e) => e.data.size as number);
    expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => a - b));
    // Having seen all, it is told nothing until there is something new.
    const reader = await open(gateway, '?kinds=entry,quarantine', lastId);
    await traffic(1, 0);
    expect((await reader.take(1))[0]?.data.index).toBe(306);
    expect((await gateway.finish({ verifyOneIn: 20 })).entries).toBe(307);
  });

  it('goes by the header where a browser that connects again sends the parameter as well', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('browser').enrol(gateway);
    const client = await device.connect(gateway);
    for (let i = 0; i < 4; i++) await device.publish(client, device.envelope());
    const query = `?kinds=entry&from=${START}`;
    const first = await open(gateway, query);
    expect(indexes(await first.take(3))).toEqual([0, 1, 2]);
    await first.close();
    const second = await open(gateway, query, first.lastId);
    expect(indexes(await second.take(2))).toEqual([3, 4]);
    await gateway.finish();
  });

  it('refuses a place that it never gave; an empty one is none', async () => {
    const gateway = await startTestGateway();
    const bad = ['7', 'entry:1', `${START},more:1`, START.replace('0', '-1'), START.replace('0', '1e9')];
    for (const id of [...bad, START.replace('0', '9'.repeat(16))]) {
      const answer = await request(gateway, '', id);
      expect([answer.status, await answer.json()], id).toMatchObject([400, { code: 'REQUEST_INVALID' }]);
    }
    await open(gateway, '?from=', '');
    await gateway.finish();
  });

  it('refuses more readers than it may have, until one leaves', async () => {
    const gateway = await startTestGateway({ http: { maxEventStreams: 2 } });
    const readers = [await open(gateway), await open(gateway)];
    const third = await request(gateway);
    expect([third.status, third.headers.get('content-type')]).toEqual([503, 'application/problem+json; charset=utf-8']);
    await third.text();
    await readers[0]?.close();
    await until(async () => {
      const answer = await request(gateway);
      await answer.body?.cancel();
      return answer.status === 200;
    }, 'there is room again');
    await gateway.finish();
  });

  it('keeps next to nothing in memory for a reader that does not read, which gets all when it does', async () => {
    const served: Socket[] = [];
    const onSocket = (message: unknown): void => {
      served.push((message as { socket: Socket }).socket);
    };
    subscribe('net.server.socket', onSocket);
    onTestFinished(() => {
      unsubscribe('net.server.socket', onSocket);
    });
    const gateway = await startTestGateway();
    const device = await new TestDevice('slow', 'sensor').enrol(gateway);
    const client = await device.connect(gateway);
    const { hostname, port } = new URL(gateway.info.http);
    const socket = connect(Number(port), hostname);
    onTestFinished(() => {
      socket.destroy();
    });
    await once(socket, 'connect');
    socket.write(
      `GET /events?kinds=entry&from=${START} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${await gateway.token('viewer')}\r\n\r\n`,
    );
    await once(socket, 'readable'); // the head of the answer: from here on it reads nothing
    const far = served.find((s) => s.remotePort === socket.localPort) as Socket;
    // 15 MB, more than the kernel takes for a socket.
    const records = [{ n: 'text', vs: 'x'.repeat(30_000) }];
    for (let i = 0; i < 500; i += 50) {
      await Promise.all(Array.from({ length: 50 }, () => device.publish(client, device.envelope({ records }))));
      expect(far.writableLength).toBeLessThan(1024 * 1024);
    }
    await until(() => far.writableNeedDrain, 'it is waited for');
    let text = '';
    const seen: number[] = [];
    socket.on('data', (data) => {
      text += data.toString('latin1');
      const whole = text.lastIndexOf('\n');
      for (const m of text.slice(0, whole).matchAll(/"index":(\d+)/g)) seen.push(Number(m[1]));
      text = text.slice(whole);
    });
    await until(() => seen.length === 501, 'it has all');
    expect(seen).toEqual(Array.from({ length: 501 }, (_, i) => i));
    await gateway.finish({ verifyOneIn: 50 });
  });
});
