/** Having witnesses: gateways that cosign each other over HTTP, and all that a witness can do to a log. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { makeConfig } from '../../edge/config.ts';
import { encodeEnd, encodeEntry, encodeHead } from '../../edge/log/bundle.ts';
import { encodeVerifierKey } from '../../edge/log/checkpoint.ts';
import { parseReceipt } from '../../edge/log/receipt.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { verifyBundle } from '../../edge/verify-bundle.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { checkKeys } from '../../edge/witnessing.ts';
import { healthOf, line, linesOf, Meter, metric } from '../chain/rig.ts';
import { edge } from '../support/cli.ts';
import { tempFolder, until } from '../support/temp.ts';
import { all, isPublished, pair, viewOf } from './members.ts';
import { PlainLog } from './rig.ts';

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
    expect(await verify([b.witnessKey], 1)).toMatchObject([undefined, { ...step, detail: expect.stringMatching(by) }]);
    expect(await verify([b.witnessKey, a.witnessKey], 1)).toMatchObject([undefined, { ok: true }]);
    for (const keys of [[a.witnessKey], [b.witnessKey, a.witnessKey], [b.witnessKey, b.witnessKey]])
      expect(await verify(keys, keys.length)).toMatchObject([
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
