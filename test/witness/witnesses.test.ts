/** Having witnesses: gateways that cosign each other over HTTP, and all that a witness can do to a log. */
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { type Config, makeConfig } from '../../edge/config.ts';
import { openIdentity } from '../../edge/identity.ts';
import { encodeEnd, encodeEntry, encodeHead } from '../../edge/log/bundle.ts';
import { encodeVerifierKey, openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { parseReceipt } from '../../edge/log/receipt.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { verifyBundle } from '../../edge/verify-bundle.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { Witnesses } from '../../edge/witness/witnesses.ts';
import { checkKeys } from '../../edge/witnessing.ts';
import { healthOf, line, linesOf, Meter, metric, STILL } from '../chain/rig.ts';
import { newEntry, openLog } from '../log/rig.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, type TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkCosignature } from '../support/whole-truth.ts';
import { type Fate, PlainLog, WitnessProxy } from './rig.ts';

/** One operator's gateway, on or off, at an address that stays. */
class Member {
  readonly origin: string;
  readonly dataFolder: string;
  readonly proxy: WitnessProxy;
  readonly logKey: string;
  readonly witnessKey: string;

  private constructor(name: string, proxy: WitnessProxy) {
    this.origin = `sejong.example/${name}`;
    this.dataFolder = join(tempFolder(), 'data');
    this.proxy = proxy;
    const identity = openIdentity(makeConfig({ dataFolder: this.dataFolder }));
    this.logKey = encodeVerifierKey(this.origin, publicKeyOf(identity.logKey));
    this.witnessKey = encodeVerifierKey(`${this.origin}/witness`, publicKeyOf(identity.witnessKey), 'witness');
  }

  static async of(name: string): Promise<Member> {
    return new Member(name, await WitnessProxy.start());
  }

  /** @param witnesses of its log, and whose logs it cosigns */
  async start(
    { witnesses = [], logs = [] }: { witnesses?: Member[]; logs?: Member[] },
    log: Partial<Config['log']> = {},
    dataFolder = this.dataFolder,
  ): Promise<TestGateway> {
    const gateway = await startTestGateway({
      dataFolder,
      log: {
        ...STILL,
        origin: this.origin,
        witnesses: witnesses.map(({ witnessKey, proxy }) => ({ key: witnessKey, url: proxy.url })),
        quorum: witnesses.length,
        witnessTimeoutSeconds: 10,
        witnessRetrySeconds: 0.1,
        ...log,
      },
      witness: { logs: logs.map(({ logKey }) => ({ key: logKey })), maxRate: 1000 },
    });
    this.proxy.target = gateway.info.http;
    return gateway;
  }

  /** Its witness is not to be had any more. */
  async leave(gateway: TestGateway): Promise<void> {
    this.proxy.target = undefined;
    await gateway.finish();
  }
}

const pair = async (): Promise<[Member, Member]> => [await Member.of('a'), await Member.of('b')];
const all = (gateway: TestGateway): Promise<void> =>
  until(
    () => {
      const { log, witnesses } = gateway.parts;
      return witnesses.witnessedSize === log.size && !witnesses.unwitnessed;
    },
    `all ${gateway.parts.log.size} entries witnessed: ${JSON.stringify(gateway.parts.witnesses.state())}`,
  );

type View = {
  quorum: number;
  size: number;
  cosigned: number;
  unwitnessed: boolean;
  witnessedSize: number;
  witnesses: { name: string; reachable: boolean; size: number; problem: string | null }[];
};
const viewOf = async (gateway: TestGateway): Promise<View> =>
  (await gateway.api('/log/witnesses', { token: null })).body as View;
const noteOf = async (gateway: TestGateway): Promise<string> =>
  (await gateway.api('/log/checkpoint', { token: null })).text;
const bodyOf = (note: string): string => note.slice(0, note.indexOf('\n\n') + 1);

/** The newest published checkpoint has its log's signature first, and then one of each witness, by the specification. */
async function isPublished(gateway: TestGateway, log: Member, witnesses: Member[]): Promise<void> {
  const note = await noteOf(gateway);
  expect(openCheckpoint(note, parseVerifierKey(log.logKey)).size).toBe(gateway.parts.log.size);
  const lines = note.slice(note.indexOf('\n\n') + 2).match(/.*\n/g) as string[];
  expect(lines).toHaveLength(1 + witnesses.length);
  expect(lines[0]).toMatch(new RegExp(`^— ${log.origin} `));
  for (const { witnessKey } of witnesses) {
    const own = lines.find((l) => l.startsWith(`— ${witnessKey.split('+')[0]} `)) as string;
    checkCosignature(own, bodyOf(note), witnessKey);
  }
}

describe('the policy in the config', () => {
  const own = new PlainLog('log.example');
  const key = encodeVerifierKey('w.example', publicKeyOf(new Uint8Array(32).fill(1)), 'witness');
  const renamed = encodeVerifierKey('v.example', publicKeyOf(new Uint8Array(32).fill(1)), 'witness');
  const url = 'https://w.example/witness';
  const flipped = key.replace(/.$/, (c) => (c === 'A' ? 'Q' : 'A'));

  it('is nobody, unless it says so', () => {
    expect(checkKeys(makeConfig())).toEqual({ witnesses: [], logs: [] });
    const { witnesses, logs } = checkKeys(
      makeConfig({ log: { witnesses: [{ key, url }], quorum: 1 }, witness: { logs: [{ key: own.key }] } }),
    );
    expect([witnesses[0]?.name, logs[0]?.origin]).toEqual(['w.example', 'log.example']);
  });

  it.each<[string, object, RegExp]>([
    ['a quorum that cannot be had', { log: { witnesses: [{ key, url }], quorum: 2 } }, /quorum is 2 of 1 witnesses/],
    [
      'one witness twice',
      {
        log: {
          witnesses: [
            { key, url },
            { key: renamed, url },
          ],
        },
      },
      /witnesses\.1\.key is there twice/,
    ],
    ['a key that is not what it says', { log: { witnesses: [{ key: flipped, url }] } }, /witnesses\.0\.key: .*hash/],
    [
      'the key of a log as a witness',
      { log: { witnesses: [{ key: own.key, url }] } },
      /not an Ed25519 key of a witness/,
    ],
    ['the key of a witness as a log', { witness: { logs: [{ key }] } }, /logs\.0\.key: .*not an Ed25519 key of a log/],
    ['a password in a URL', { log: { witnesses: [{ key, url: 'https://a:b@w.example/' }] } }, /witnesses\.0\.url/],
    ['a URL that is none', { log: { witnesses: [{ key, url: 'w.example' }] } }, /witnesses\.0\.url/],
  ])('refused: %s', (_, values, why) => {
    expect(() => checkKeys(makeConfig(values))).toThrow(why);
    expect(() => checkKeys(makeConfig(values))).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});

describe('two gateways', () => {
  it('cosign each other over HTTP, started at once, and publish what they are told', async () => {
    const [a, b] = await pair();
    const [first, second] = await Promise.all([
      a.start({ witnesses: [b], logs: [b] }),
      b.start({ witnesses: [a], logs: [a] }),
    ]);
    const events = await fetch(`${first.info.http}/events?kinds=checkpoint`, {
      headers: { authorization: `Bearer ${await first.token('viewer')}` },
    });
    for (const [gateway, own, other] of [
      [first, a, b],
      [second, b, a],
    ] as const) {
      const meter = await Meter.at(gateway);
      await meter.send(3);
      await all(gateway);
      await isPublished(gateway, own, [other]);
      await meter.send(2);
      await all(gateway);
      await isPublished(gateway, own, [other]);
      const size = gateway.parts.log.size;
      expect(await viewOf(gateway)).toEqual({
        quorum: 1,
        size,
        cosigned: 1,
        unwitnessed: false,
        witnessedSize: size,
        witnesses: [
          {
            name: `${other.origin}/witness`,
            key: other.witnessKey,
            reachable: true,
            size,
            time: expect.any(Number),
            problem: null,
          },
        ],
      });
      expect((await healthOf(gateway)).parts.witnesses).toEqual({
        ok: true,
        detail: `checkpoint of ${size} entries witnessed: cosigned by 1 of 1, a quorum is 1`,
      });
      expect(await metric(gateway, 'witnessed_size')).toBe(size);
      expect(await metric(gateway, 'unwitnessed')).toBe(0);
    }
    let told = '';
    for await (const chunk of events.body ?? []) {
      told += Buffer.from(chunk as Uint8Array).toString();
      if (/"size":6,[^\n]*"witnessed":1\}/.test(told)) break;
    }
    await first.finish();
    await second.finish();
  });

  it('give receipts with the cosignatures, which an auditor counts by the keys that the auditor has', async () => {
    const [a, b] = await pair();
    const second = await b.start({ logs: [a] });
    const first = await a.start({ witnesses: [b] });
    await (await Meter.at(first)).send(3);
    await all(first);
    const receipt = (await first.api('/entries/2/receipt?format=tlog-proof')).text;
    const cose = await fetch(`${first.info.http}/entries/2/receipt?format=cose`, {
      headers: { authorization: `Bearer ${await first.token('viewer')}` },
    }).then((answer) => answer.bytes());
    const verify = async (
      keys: string[],
      quorum: number,
      text: string | Uint8Array = receipt,
    ): Promise<[string | undefined, Step]> => {
      const steps: Step[] = [];
      const failed = await verifyReceipt(text, a.logKey, undefined, (step) => steps.push(step), {
        witnesses: { keys, quorum },
      });
      return [failed, steps.at(-1) as Step];
    };
    const by = /^1, a quorum is 1: sejong\.example\/b\/witness at \d{4}-/;
    const step = { name: 'witness cosignatures', ok: true };
    expect(await verify([b.witnessKey], 1)).toEqual([undefined, { ...step, detail: expect.stringMatching(by) }]);
    expect(await verify([b.witnessKey, a.witnessKey], 1)).toMatchObject([undefined, { ok: true }]);
    for (const keys of [[a.witnessKey], [b.witnessKey, a.witnessKey], [b.witnessKey, b.witnessKey]])
      expect(await verify(keys, keys.length)).toEqual([
        'witness cosignatures',
        {
          ...step,
          ok: false,
          detail: expect.stringMatching(/^RECEIPT_INVALID: [01] of the [12] cosignatures asked for/),
        },
      ]);
    // A COSE receipt has the log's own signature alone.
    expect(await verify([b.witnessKey], 1, cose)).toMatchObject([
      'witness cosignatures',
      { detail: expect.stringMatching(/a COSE receipt has no cosignatures/) },
    ]);
    // A key of a log is no key of a witness, and a cosignature that is wrong is not just left out.
    expect(await verify([b.logKey], 1)).toMatchObject(['witness cosignatures', { ok: false }]);
    const [last] = receipt.match(/\S+\n$/) as [string];
    const wrong = receipt.replace(last, `${Buffer.from(Buffer.from(last, 'base64').fill(7, 60)).toString('base64')}\n`);
    expect(await verify([b.witnessKey], 1, wrong)).toMatchObject([
      'witness cosignatures',
      { detail: expect.stringMatching(/does not verify$/) },
    ]);

    // A bundle is asked the same of each of its checkpoints.
    const bundle = [
      encodeHead({ key: a.logKey, from: 2, to: 3 }),
      encodeEntry(parseReceipt(receipt)),
      encodeEnd({ entries: 1, pruned: 0, forgotten: 1 }), // sealed, and not opened
    ].join('');
    const bundled = async (keys: string[]): Promise<string | undefined> => {
      const stream = (async function* () {
        yield Buffer.from(bundle);
      })();
      return (await verifyBundle(stream, a.logKey, undefined, () => undefined, { keys, quorum: 1 })).failed;
    };
    expect(await bundled([b.witnessKey])).toBeUndefined();
    expect(await bundled([a.witnessKey])).toBe('witness cosignatures');

    const path = join(tempFolder(), 'receipt');
    writeFileSync(path, receipt);
    const args = ['verify', path, '--key', a.logKey, '--witness', b.witnessKey, '--witness', a.witnessKey];
    const told = await edge([...args, '--quorum', '1']);
    expect([told.code, told.stdout]).toEqual([0, expect.stringMatching(/^ok {4}witness cosignatures {2}1, a quorum/m)]);
    expect((await edge(args)).stdout).toMatch(/^The receipt does NOT hold: witness cosignatures\.$/m);
    expect(await edge([...args, '--quorum', '3'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/^USAGE/) });
    await first.finish();
    await second.finish();
  });

  it('leave nothing unwitnessed at a clean stop, and go on where they were after it', async () => {
    const [a, b] = await pair();
    const second = await b.start({ logs: [a] });
    let first = await a.start({ witnesses: [b] });
    const meter = await Meter.at(first);
    await all(first);
    await meter.device.publish(meter.client, meter.device.envelope()); // under no checkpoint yet
    const { entries } = await first.finish();
    const db = new Database(join(a.dataFolder, 'edge.db'), { readonly: true });
    expect(db.prepare('SELECT max(size) FROM cosignatures').pluck().get()).toBe(entries);
    db.close();
    first = await a.start({ witnesses: [b] });
    expect(first.parts.witnesses.witnessedSize).toBe(entries);
    await isPublished(first, a, [b]);
    await (await Meter.at(first, meter.device)).send(2);
    await all(first);
    expect(first.lines).toEqual([]);
    await first.finish();
    await second.finish();
  });

  it('one away: the other publishes as unwitnessed and says so, and it comes back by itself, for the newest checkpoint alone', async () => {
    const [a, b] = await pair();
    let second = await b.start({ logs: [a] });
    const first = await a.start({ witnesses: [b] });
    const meter = await Meter.at(first);
    await meter.send(2);
    await all(first);
    const witnessed = first.parts.log.size;
    await b.leave(second);
    for (let i = 0; i < 4; i++) {
      await meter.send(2);
      await until(() => first.parts.witnesses.state()[0]?.problem !== undefined, 'it is missed');
    }
    const size = first.parts.log.size;
    expect(first.parts.log.latest?.size, 'signing goes on').toBe(size);
    await isPublished(first, a, []);
    const health = await healthOf(first);
    expect(health.status).toBe('degraded');
    expect(health.parts.log?.ok).toBe(true);
    expect(health.parts.witnesses).toEqual({
      ok: false,
      detail: expect.stringMatching(
        new RegExp(`^checkpoint of ${size} entries unwitnessed: cosigned by 0 of 1.*; WITNESS_AWAY: .*/b/witness`),
      ),
    });
    expect(await metric(first, 'unwitnessed')).toBe(1);
    expect(await metric(first, 'witnessed_size')).toBe(witnessed);
    expect(await metric(first, 'witness_reachable{witness="sejong.example/b/witness"}')).toBe(0);
    expect(await viewOf(first)).toMatchObject({ size, cosigned: 0, unwitnessed: true, witnessedSize: witnessed });
    expect(linesOf(first, 'WITNESS_AWAY'), 'said once').toHaveLength(1);

    second = await b.start({ logs: [a] });
    b.proxy.asked.length = 0;
    await all(first);
    await isPublished(first, a, [b]);
    await line(first, 'witness sejong.example/b/witness: all is well again');
    expect((await healthOf(first)).parts.witnesses?.ok).toBe(true);
    expect(new Set(b.proxy.asked.map((body) => /\n\n[^\n]*\n(\d+)\n/.exec(body)?.[1]))).toEqual(
      new Set([String(size)]),
    );
    expect(await metric(first, 'witness_reachable{witness="sejong.example/b/witness"}')).toBe(1);
    await first.finish();
    await second.finish();
  });

  it('whose answer is lost find each other again: the witness says what it holds', async () => {
    const [a, b] = await pair();
    const second = await b.start({ logs: [a] });
    const first = await a.start({ witnesses: [b] });
    const meter = await Meter.at(first);
    await all(first);
    let lost = 0;
    b.proxy.fate = () => (lost++ < 2 ? 'sent' : 'forward');
    await meter.send(3);
    await all(first);
    expect(lost).toBeGreaterThan(2);
    expect(second.parts.witness.held(a.origin)?.size).toBe(4);
    await isPublished(first, a, [b]);
    // And a witness that forgot everything is shown it from the beginning.
    await b.leave(second);
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(b.dataFolder, `edge.db${suffix}`), { force: true });
    const third = await b.start({ logs: [a] });
    await meter.send(2);
    await all(first);
    await first.finish();
    await third.finish();
  });
});

describe('an old copy of the data folder, put back, with no chain to tell', () => {
  /** A witness that holds nine entries of a log, of which `old` is a copy at four. */
  async function rolledBack() {
    const [a, b] = await pair();
    const second = await b.start({ logs: [a] });
    let first = await a.start({ witnesses: [b] });
    const meter = await Meter.at(first);
    await meter.send(3);
    const { device } = meter;
    await all(first);
    await first.finish();
    const old = join(tempFolder(), 'image');
    cpSync(a.dataFolder, old, { recursive: true });
    first = await a.start({ witnesses: [b] });
    await (await Meter.at(first, device)).send(5);
    await all(first);
    await first.finish();
    expect(second.parts.witness.held(a.origin)?.size).toBe(9);
    return { a, b, second, old, device };
  }

  /** It accepts, signs nothing and says why. */
  async function isHeld(gateway: TestGateway, why: string, device: TestDevice): Promise<void> {
    await line(gateway, new RegExp(`^LOG_BEHIND_WITNESS.*${why}`));
    const { latest, size } = gateway.parts.log;
    await (await Meter.at(gateway, device)).send();
    expect(gateway.parts.log.size).toBe(size + 1);
    const health = await healthOf(gateway);
    for (const part of ['log', 'witnesses'])
      expect(health.parts[part]).toEqual({ ok: false, detail: expect.stringMatching(`LOG_BEHIND_WITNESS: .*${why}`) });
    expect(await metric(gateway, 'checkpoint_held')).toBe(1);
    expect(gateway.parts.log.latest).toEqual(latest);
  }

  it('is noticed because the witness holds more: nothing is signed, not even at the stop, and the newest copy goes on', async () => {
    const { a, b, second, old, device } = await rolledBack();
    const { seq } = device;
    const gateway = await a.start({ witnesses: [b] }, { checkpointEntries: 1 }, old);
    await isHeld(gateway, 'holds a checkpoint of 9 entries, our newest has 4', device);
    await gateway.finish();
    const db = new Database(join(old, 'edge.db'), { readonly: true });
    expect(db.prepare('SELECT max(size) FROM checkpoints').pluck().get()).toBe(4);
    db.close();

    // The same where all is lost but the keys: nothing in the folder says any more that there was a log.
    for (const name of ['edge.db', 'edge.db-wal', 'edge.db-shm', 'epoch.json', 'registry.jsonl'])
      rmSync(join(old, name), { force: true });
    const empty = await a.start({ witnesses: [b] }, { checkpointEntries: 1 }, old);
    await line(empty, /holds a checkpoint of 9 entries, our newest has 0/);
    expect(empty.parts.log.latest).toBeUndefined();
    expect(empty.parts.checkpointer.held).toMatch(/^LOG_BEHIND_WITNESS/);
    await empty.finish();

    device.seq = seq; // the device does not know either; it sends again what was not lost
    const newest = await a.start({ witnesses: [b] });
    await (await Meter.at(newest, device)).send(2);
    await all(newest);
    expect(newest.parts.log.size).toBe(11);
    expect(newest.lines).toEqual([]);
    await newest.finish();
    await second.finish();
  });

  it('that signed while its witness was away is stopped when the witness is back, which keeps no second history', async () => {
    const { a, b, second, old, device } = await rolledBack();
    b.proxy.target = undefined;
    const gateway = await a.start({ witnesses: [b] }, { witnessTimeoutSeconds: 0.2 }, old);
    await until(() => gateway.parts.checkpointer.held === undefined, 'nobody spoke in time');
    const meter = await Meter.at(gateway, device);
    await meter.send(8);
    expect(gateway.parts.log.latest?.size).toBe(12);
    b.proxy.target = second.info.http;
    await line(gateway, /^LOG_BEHIND_WITNESS.*holds a root that ours does not grow from at 9 entries/);
    expect(gateway.parts.checkpointer.held).toMatch(/^LOG_BEHIND_WITNESS/);
    await meter.send();
    expect(gateway.parts.log.latest?.size).toBe(12);
    expect(second.parts.witness.held(a.origin)?.size).toBe(9);
    expect(second.parts.witness.evidence.list(10, 1e9)).toMatchObject([{ kind: 'unproven', origin: a.origin }]);
    await gateway.finish();
    await second.finish();
  });

  it('of the very size that the witness holds, with other entries, is a split view: refused, and kept as evidence', async () => {
    const { a, b, second, old, device } = await rolledBack();
    const alone = await a.start({}, {}, old);
    await (await Meter.at(alone, device)).send(5);
    expect(alone.parts.log.latest?.size).toBe(9);
    const forged = await noteOf(alone);
    await alone.finish();
    const gateway = await a.start({ witnesses: [b] }, { checkpointEntries: 1 }, old);
    await line(gateway, /^LOG_BEHIND_WITNESS.*holds another root at 9 entries/);
    expect(gateway.parts.checkpointer.held).toMatch(/^LOG_BEHIND_WITNESS/);
    expect(second.parts.witness.evidence.list(10, 1e9)).toMatchObject([{ kind: 'split', note: forged }]);
    expect((await healthOf(second)).parts.witness?.ok).toBe(false);
    await gateway.finish();
    await second.finish();
  });
});

describe('a log whose witness', () => {
  it('is slow, broken or hostile signs and publishes without it, says so, and has it again when it is well', async () => {
    const [a, b] = await pair();
    const second = await b.start({ logs: [a] });
    const first = await a.start({ witnesses: [b] }, { witnessTimeoutSeconds: 1 });
    await all(first);
    const old = (await noteOf(first)).match(/— sejong\.example\/b\/witness .*\n/u)?.[0] as string;
    const own = new PlainLog('sejong.example/b/witness');
    const size = (text: string): Fate => ({ status: 409, type: 'text/x.tlog.size', body: text });
    const cases: [string, (body: string) => Fate, RegExp][] = [
      ['hangs', () => 'hang', /^WITNESS_AWAY.*TimeoutError/],
      ['hangs up', () => 'drop', /^WITNESS_AWAY.*UND_ERR_SOCKET/],
      [
        'answers without end',
        () => ({ status: 200, body: Buffer.alloc(1_000_000, 'A') }),
        /^WITNESS_REFUSED.*more than/,
      ],
      ['answers nothing', () => ({ status: 200, body: '' }), /^WITNESS_REFUSED.*the last line does not end/],
      ['answers nonsense', () => ({ status: 200, body: Buffer.alloc(500, 255) }), /^WITNESS_REFUSED/],
      ['signs with another key', (body) => ({ status: 200, body: own.line(body) }), /no cosignature by its key/],
      ['cosigned something else', () => ({ status: 200, body: old }), /does not verify/],
      ['says a size that is none', () => size('9e9\n'), /is no number/],
      [
        'says another size each time',
        (body) => size(body.startsWith('old 1\n') ? '0\n' : '1\n'),
        /another size each time/,
      ],
      [
        'sends us elsewhere',
        () => ({ status: 307, body: '', headers: { location: 'http://127.0.0.1:1/' } }),
        /^WITNESS_AWAY/,
      ],
      ['does not know us', () => ({ status: 404, body: '' }), /^WITNESS_REFUSED.*HTTP status 404/],
      ['is broken', () => ({ status: 500, body: '<html>' }), /^WITNESS_AWAY.*HTTP status 500/],
    ];
    const meter = await Meter.at(first);
    for (const [what, fate, problem] of cases) {
      b.proxy.fate = fate;
      await meter.send(2);
      await until(() => problem.test(first.parts.witnesses.state()[0]?.problem ?? ''), what);
      expect(first.parts.checkpointer.held, what).toBeUndefined();
      await meter.send();
      await isPublished(first, a, []);
      expect(first.parts.witnesses.unwitnessed, what).toBe(true);
      b.proxy.fate = () => 'forward';
      await all(first);
      await isPublished(first, a, [b]);
    }
    expect(b.proxy.hanging).toBe(0);

    // Nobody can tell this lie from a log that was rolled back: signing stops, intake does not, and the line names who
    // said so. It goes on as soon as the witness says something else.
    b.proxy.fate = () => size('1000000\n');
    await meter.send();
    await line(first, /^LOG_BEHIND_WITNESS.*b\/witness holds a checkpoint of 1000000 entries/);
    expect(first.parts.checkpointer.held).toMatch(/^LOG_BEHIND_WITNESS/);
    const { latest } = first.parts.log;
    await meter.send();
    expect(first.parts.log.latest).toEqual(latest);
    b.proxy.fate = () => 'forward';
    await until(() => first.parts.checkpointer.held === undefined, 'signing goes on');
    await meter.send();
    await all(first);
    await first.finish();
    await second.finish();
  });

  it('is one of three with a quorum of two is not missed', async () => {
    const [a, b] = await pair();
    const [c, d] = [await Member.of('c'), await Member.of('d')];
    const [second, third] = [await b.start({ logs: [a] }), await c.start({ logs: [a] })];
    d.proxy.fate = () => 'hang';
    const first = await a.start({ witnesses: [b, c, d] }, { quorum: 2, witnessTimeoutSeconds: 1 });
    await (await Meter.at(first)).send(2);
    await all(first);
    await isPublished(first, a, [b, c]);
    await until(() => first.parts.witnesses.state()[2]?.problem !== undefined, 'the third is missed');
    expect((await healthOf(first)).parts.witnesses).toEqual({
      ok: true,
      detail: expect.stringMatching(/ witnessed: cosigned by 2 of 3, a quorum is 2; WITNESS_AWAY/),
    });
    await first.finish();
    await second.finish();
    await third.finish();
  });

  it('does not answer has signing wait for its first word, for a bounded time, while readings are taken', async () => {
    const [a, b] = await pair();
    b.proxy.fate = () => 'hang';
    const first = await a.start({ witnesses: [b] }, { witnessTimeoutSeconds: 1, checkpointEntries: 1 });
    expect(first.parts.checkpointer.held).toBe('the witnesses have not said yet what they hold of this log');
    await Meter.at(first);
    await until(() => first.parts.log.latest !== undefined, 'signed without');
    await first.finish();
  });

  it('is away is not waited for where a chain has spoken, and else is, for the time in the config', async () => {
    const proxy = await WitnessProxy.start();
    const member = await Member.of('w');
    for (const chain of [true, false]) {
      const { log } = await openLog(tempFolder());
      await log.append([newEntry(0)], []);
      const said: (string | undefined)[] = [];
      const witnesses = new Witnesses(log, {
        witnesses: [{ key: member.witnessKey, url: proxy.url }],
        quorum: 1,
        timeoutSeconds: 60,
        retrySeconds: 0.01,
        chain,
        allowSigning: (held) => said.push(held),
        report: () => undefined,
        onCosigned: () => undefined,
      });
      proxy.asked.length = 0;
      witnesses.start();
      await until(() => proxy.asked.length > 2 && witnesses.state()[0]?.problem !== undefined, 'it was asked');
      expect(said[0]).toMatch(/not said yet/);
      expect(said.includes(undefined)).toBe(chain);
      await witnesses.stop(0);
    }
  });
});
