/** Witnesses that know more than the log, or are slow, broken and hostile. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { Witnesses } from '../../edge/witness/witnesses.ts';
import { healthOf, line, Meter, metric } from '../chain/rig.ts';
import { newEntry, openLog } from '../log/rig.ts';
import type { TestDevice, TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { all, isPublished, Member, noteOf, pair } from './members.ts';
import { type Fate, PlainLog, WitnessProxy } from './rig.ts';

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
