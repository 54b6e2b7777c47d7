import { describe, expect, it } from 'vitest';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';

type Sample = { labels: Record<string, string>; value: number };
type Family = { help: string; type: string; samples: Sample[] };

/**
 * The Prometheus text format 0.0.4, strictly: each family once and in one piece, HELP and TYPE before its samples, no
 * series twice, names and labels of their alphabets, a line end at the end. Throws at the first line that is not so.
 */
function parseExposition(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  let name = '';
  let help: string | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const refuse = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    const described = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)*)$/.exec(line);
    const typed = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    const sample =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|\+Inf|NaN)(?: -?\d+)?$/.exec(
        line,
      );
    if (described) {
      name = described[1] as string;
      help = described[2] as string;
      if (families.has(name)) refuse('a family for the second time');
    } else if (typed) {
      if (typed[1] !== name || help === undefined) return refuse('a TYPE without its HELP');
      families.set(name, { help, type: typed[2] as string, samples: [] });
    } else if (sample) {
      if (sample[1] !== name) refuse('a sample outside its family');
      const family = families.get(name) ?? refuse('a sample before its TYPE');
      const labels = Object.fromEntries(
        [...(sample[2] ?? '').matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1], m[2]]),
      ) as Record<string, string>;
      if (family.samples.some((s) => JSON.stringify(s.labels) === JSON.stringify(labels))) refuse('a series twice');
      family.samples.push({ labels, value: Number(sample[3]) });
    } else refuse('neither HELP nor TYPE nor a sample');
  }
  return families;
}

const metrics = async (gateway: TestGateway): Promise<Map<string, Family>> => {
  const { status, headers, text } = await gateway.api('/metrics', { token: null });
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parseExposition(text);
};

const value = (families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number | undefined =>
  families.get(`sejong_edge_${name}`)?.samples.find((s) => JSON.stringify(s.labels) === JSON.stringify(labels))?.value;

describe('/metrics', () => {
  it('is Prometheus text, with a unit or _total where there should be one', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('metrics').enrol(gateway);
    const client = await device.connect(gateway);
    await device.publish(client, Buffer.from('bad'));
    await device.publish(client, device.envelope({ secretKey: new TestDevice('other').secretKey }));
    const families = await metrics(gateway);
    expect(families.size).toBeGreaterThan(20);
    for (const [name, { help, type, samples }] of families) {
      expect(name).toMatch(/^sejong_edge_[a-z_]+$/);
      expect(help, name).toMatch(/^[A-Z0-9].*\.$/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(samples.length, name).toBeGreaterThan(0);
      for (const s of samples) expect(s.value, name).toBeGreaterThanOrEqual(0);
    }
    await gateway.finish();
  });

  it('says what happened, and counters only rise', async () => {
    const gateway = await startTestGateway({ clock: { source: 'synced' } });
    const device = await new TestDevice('counted').enrol(gateway);
    const before = await metrics(gateway);
    const client = await device.connect(gateway);
    const envelope = device.envelope();
    for (const e of [envelope, envelope, device.envelope(), Buffer.from('bad'), Buffer.from('bad')])
      await device.publish(client, e);
    await gateway.parts.log.makeCheckpoint(Date.now());
    const after = await metrics(gateway);
    const table: [string, number, Record<string, string>?][] = [
      ['accepted_total', 3], // the genesis entry is one
      ['known_total', 1],
      ['quarantined_total', 2, { code: 'ENVELOPE_INVALID' }],
      ['quarantine_held', 1],
      ['store_failures_total', 0],
      ['accept_pending', 0],
      ['log_size', 3],
      ['checkpoint_size', 3],
      ['checkpoint_held', 0],
      ['devices', 2],
      ['mqtt_connected', 1],
      ['mqtt_connections_total', 1],
      ['mqtt_logins_total', 1],
      ['mqtt_logins_refused_total', 0],
      ['mqtt_malformed_total', 0],
      ['mqtt_forbidden_total', 0],
      ['clock_synced', 1],
    ];
    for (const [name, expected, labels] of table) expect(value(after, name, labels), name).toBe(expected);
    expect(value(after, 'resident_memory_bytes')).toBeGreaterThan(1e6);
    for (const [name, { type, samples }] of before)
      if (type === 'counter')
        for (const s of samples)
          expect(value(after, name.replace('sejong_edge_', ''), s.labels), name).toBeGreaterThanOrEqual(s.value);
    expect(value(after, 'store_commits_total')).toBeGreaterThan(value(before, 'store_commits_total') as number);
    await gateway.finish();
  });

  it('is told apart from text that is not of that form', () => {
    for (const bad of [
      'x 1',
      'x 1\n',
      '# TYPE x counter\nx 1\n',
      '# HELP x X.\n# TYPE x meter\nx 1\n',
      '# HELP x X.\n# TYPE x counter\ny 1\n',
      '# HELP x X.\n# TYPE x counter\nx 1\nx 2\n',
      '# HELP x X.\n# TYPE x counter\nx{a="1} 1\n',
      '# HELP x X.\n# TYPE x counter\nx one\n',
    ])
      expect(() => parseExposition(bad), bad).toThrow();
  });
});

describe('/health', () => {
  it('says how each part is, in 200 for whoever asks, and that a clock that nobody vouches for is no alarm', async () => {
    const gateway = await startTestGateway({ clock: { source: 'unsynced' } });
    const { status, body, headers } = await gateway.api('/health', { token: null });
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(body).toEqual({
      status: 'ok',
      origin: gateway.info.origin,
      log: gateway.parts.log.origin,
      did: gateway.info.did,
      version: 'test',
      uptimeSeconds: expect.any(Number),
      parts: {
        store: { ok: true, detail: expect.any(String) },
        disk: { ok: true, detail: expect.any(String) },
        log: { ok: true, detail: expect.any(String) },
        mqtt: { ok: true, detail: expect.any(String) },
        quarantine: { ok: true, detail: expect.any(String) },
        clock: { ok: false, detail: expect.any(String) },
      },
    });
    await gateway.finish();
  });
});

describe('/anchors', () => {
  it('is empty where there is no chain', async () => {
    const gateway = await startTestGateway();
    for (const query of ['', '?limit=1', '?before=5&limit=1000'])
      expect((await gateway.api(`/anchors${query}`)).body).toEqual({ anchors: [] });
    await gateway.finish();
  });
});

describe('/quarantine', () => {
  it('is paged from the newest down, nothing twice and nothing missed, and shows what was refused and why', async () => {
    const gateway = await startTestGateway();
    const device = await new TestDevice('quarantined').enrol(gateway);
    const client = await device.connect(gateway);
    const sent = Array.from({ length: 23 }, (_, i) => Buffer.from(`bad ${i}`));
    for (const bytes of sent) await device.publish(client, bytes);
    await device.publish(client, sent[3] as Buffer); // again: seen once more, kept once
    const flipped = device.envelope({ epoch: 2, seq: 17 });
    flipped[flipped.length - 1]! ^= 1;
    await device.publish(client, flipped);
    type Row = { id: number; bytes: string; times: number; cti: string | null };
    const get = async (query: string) =>
      (await gateway.api(`/quarantine?${query}`)).body as { quarantine: Row[]; held: number };
    const { quarantine: all, held } = await get('');
    expect(held).toBe(24);
    expect(all[0]).toEqual({
      id: expect.any(Number),
      did: device.did,
      topic: `up/${device.did}/cose`,
      code: 'SIGNATURE_INVALID',
      detail: expect.any(String),
      cti: '0000000200000011',
      firstMs: expect.any(Number),
      lastMs: expect.any(Number),
      times: 1,
      bytes: Buffer.from(flipped).toString('base64'),
    });
    expect(
      all
        .slice(1)
        .reverse()
        .map((r) => Buffer.from(r.bytes, 'base64').toString()),
    ).toEqual(sent.map(String));
    expect(all.map((r) => r.times).filter((times) => times > 1)).toEqual([2]);
    for (const limit of [1, 5, 24, 1000]) {
      const seen: number[] = [];
      for (let before = ''; ; before = `&before=${seen.at(-1)}`) {
        const { quarantine } = await get(`limit=${limit}${before}`);
        if (quarantine.length === 0) break;
        seen.push(...quarantine.map((r) => r.id));
      }
      expect(seen).toEqual(all.map((r) => r.id));
    }
    await gateway.finish();
  });
});
