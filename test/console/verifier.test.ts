/** The verifier where there is no node:crypto and no new engine: what it is bundled from, and the file that others require. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { detailIn } from '../../edge/console/verify/detail.words.ts';
import type { Verdict, verify } from '../../edge/console/verify/node.ts';
import { halfToNumber, isWellFormed, numberToHalf } from '../../edge/console/verify/older.ts';
import { sha256 as portable } from '../../edge/console/verify/sha256.ts';
import { bundleVerifier } from '../../edge/console-bundle.ts';
import { sha256 } from '../../edge/log/sha256.ts';
import { allAnchored, City, Meter } from '../chain/rig.ts';
import { LOG_KEY, makeFile } from '../credits/certificate-rig.ts';
import { TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

const FILE = new URL('../../flows/lib/verify.cjs', import.meta.url);
const bundled = createRequire(import.meta.url)(FILE.pathname) as { verify: typeof verify };
const FORMATS = ['json', 'tlog-proof', 'cose', 'calldata'] as const;

const receiptOf = async (gateway: TestGateway, index: number, format: string): Promise<Uint8Array> => {
  const answer = await fetch(`${gateway.info.http}/entries/${index}/receipt?format=${format}`);
  return new Uint8Array(await answer.arrayBuffer());
};
const states = ({ steps }: Verdict): string => steps.map(({ name, state }) => `${name}: ${state}`).join(', ');

describe('what stands in for an engine', () => {
  it('half-precision floats: all 65,536, and the nearest of numbers between', () => {
    const view = new DataView(new ArrayBuffer(2));
    const wrong: number[] = [];
    for (let half = 0; half < 0x10000; half++) {
      view.setUint16(0, half);
      const n = view.getFloat16(0);
      if (!Object.is(halfToNumber(half), n) || !(Number.isNaN(n) || numberToHalf(n) === half)) wrong.push(half);
      // Between two neighbours: exactly in the middle, and a bit to each side.
      view.setUint16(0, half + 1);
      for (const part of [0.5, 0.499, 0.501]) {
        const between = n + (view.getFloat16(0) - n) * part;
        if (Number.isFinite(between) && halfToNumber(numberToHalf(between)) !== Math.f16round(between))
          wrong.push(between);
      }
    }
    expect(wrong).toEqual([]);
    for (const n of [65_519.99, 65_520, 1e300, -1e300, 5e-8, 2 ** -25, 2 ** -26, -0, Number.MIN_VALUE])
      expect(Object.is(halfToNumber(numberToHalf(n)), Math.f16round(n)), String(n)).toBe(true);
  });

  it('lone surrogates, and SHA-256', () => {
    for (const text of ['', 'a', '세종', '\u{1f600}', '\ud83d', 'x\ude00', '\ude00\ud83d'])
      expect(isWellFormed(text), JSON.stringify(text)).toBe(text.isWellFormed());
    for (const length of [0, 1, 55, 56, 64, 65, 1000]) {
      const bytes = new Uint8Array(length).map((_, i) => i * 7);
      expect(portable(bytes)).toEqual(new Uint8Array(sha256(bytes)));
    }
  });
});

it('what a step found is said in Korean, with all that is in it', () => {
  for (const [said, korean] of [
    ['entry 4, 201 bytes, a path of 3 hashes', '항목 4, 201바이트, 해시 3개의 경로'],
    ['SIGNATURE_INVALID: not by did:key:z6Mk', 'SIGNATURE_INVALID: did:key:z6Mk의 서명이 아닙니다'],
    ['something new', 'something new'],
  ] as const) {
    expect(detailIn('ko', said)).toBe(korean);
    expect(detailIn('en', said)).toBe(said);
  }
});

describe('flows/lib/verify.cjs', () => {
  it('is what edge/console-bundle.ts makes of the sources', async () => {
    const made = await bundleVerifier();
    const same = made === readFileSync(FILE, 'utf8');
    expect(same, 'flows/lib/verify.cjs is not current: node edge/console-bundle.ts').toBe(true);
  });

  it('verifies all four formats, of devices with either key, sealed and open, and with the chain', async () => {
    const city = await City.build();
    const gateway = await city.gateway();
    const meter = await Meter.at(gateway);
    await meter.send(2);
    const sensor = await new TestDevice('hall', 'sensor', 'P-256').enrol(gateway);
    await Meter.at(gateway, sensor).then((m) => m.send(1));
    await allAnchored(gateway);
    const key = gateway.parts.log.verifierKey;
    const chain = { rpc: city.chain.rpc, contract: city.contract.address };
    const opening = (await gateway.api('/entries/1/opening')).body as object;
    const given: { name: string; file: string; options: object }[] = [];
    for (const format of FORMATS) {
      const [sealed, open] = [await receiptOf(gateway, 1, format), await receiptOf(gateway, 3, format)];
      const good = await bundled.verify(open, { key, chain });
      expect(good).toMatchObject({
        ok: true,
        failed: null,
        kind: 'receipt',
        format,
        index: 3,
        reading: {
          did: sensor.did,
          sub: sensor.sub,
          epoch: 1,
          seq: 0,
          records: [{ n: 'temperature', u: 'Cel', v: 21.5 }],
        },
      });
      expect(states(good)).toBe(
        'receipt format: ok, canonical bytes: ok, device signature: ok, checkpoint signature: ok, inclusion: ok, anchored root: ok',
      );
      expect(await bundled.verify(sealed, { key }), 'sealed').toMatchObject({ ok: true, reading: null });
      expect(await bundled.verify(sealed, { key, openings: [opening] }), 'opened').toMatchObject({
        ok: true,
        index: 1,
        reading: { did: meter.device.did, records: [{ n: '1-0:1.8.0', u: 'Wh', v: 1001 }] },
      });
      // What the API answers as JSON may be given as it was parsed.
      if (format === 'json' || format === 'calldata')
        expect(await bundled.verify(JSON.parse(Buffer.from(open).toString()) as object, { key })).toMatchObject({
          ok: true,
        });
      given.push({ name: `${format}`, file: Buffer.from(open).toString('base64'), options: { key, chain } });
    }
    // A byte of the reading: the path leads elsewhere, and before that the signature is not the device's.
    const cose = await receiptOf(gateway, 3, 'cose');
    const at = Buffer.from(cose).indexOf('temperature');
    const bad = await bundled.verify(cose.with(at, 0x54), { key, chain });
    expect(bad).toMatchObject({ ok: false, failed: 'device signature' });
    expect(states(bad)).toBe(
      'receipt format: ok, canonical bytes: ok, device signature: failed, checkpoint signature: not reached, inclusion: not reached, anchored root: not reached',
    );
    const { bytes } = makeFile();
    const certificate = await bundled.verify(bytes, { key: LOG_KEY });
    expect(certificate).toMatchObject({ ok: true, kind: 'certificate', index: null });
    expect(await bundled.verify(bytes, { key })).toMatchObject({ ok: false, failed: 'checkpoint signature' });
    given.push({ name: 'certificate', file: Buffer.from(bytes).toString('base64'), options: { key: LOG_KEY } });

    // In an engine that has none of what the stand-ins are for.
    const folder = tempFolder();
    writeFileSync(
      `${folder}.cjs`,
      `for (const [o, n] of [[Math, 'f16round'], [DataView.prototype, 'getFloat16'], [DataView.prototype, 'setFloat16'], [String.prototype, 'isWellFormed']]) delete o[n];
       const { verify } = require(${JSON.stringify(FILE.pathname)});
       (async () => { for (const { name, file, options } of ${JSON.stringify(given)})
         console.log(name, (await verify(Buffer.from(file, 'base64'), options)).failed); })();`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [`${folder}.cjs`]);
    expect(stdout).toBe([...FORMATS, 'certificate'].map((name) => `${name} null\n`).join(''));
    await city.finish(gateway);
  });

  it('answers what is wrong with a file, and throws for options that are none', async () => {
    for (const file of [
      '',
      'x',
      '{}',
      'null',
      new Uint8Array(3),
      Uint8Array.of(0xd2, 0x84),
      new Uint8Array(3_000_000),
      {},
    ])
      expect(await bundled.verify(file, { key: LOG_KEY })).toMatchObject({
        ok: false,
        failed: 'receipt format',
        index: null,
      });
    const opening = JSON.stringify({ format: 'sejong-edge/opening@1' });
    expect(await bundled.verify(opening, { key: LOG_KEY })).toMatchObject({ ok: false, failed: 'receipt format' });
    const wrong: [object, RegExp][] = [
      [{}, /not the verifier key/],
      [{ key: 'x' }, /not of the form/],
      [{ key: LOG_KEY, chain: { rpc: 'http://127.0.0.1:1', contract: '0x1' } }, /not an address/],
      [{ key: LOG_KEY, chain: { rpc: 'file:///x', contract: `0x${'1'.repeat(40)}` } }, /not an http/],
      [{ key: LOG_KEY, witnesses: { keys: [LOG_KEY], quorum: 1 } }, /not an Ed25519 key of a witness/],
    ];
    for (const [options, why] of wrong) await expect(bundled.verify('', options as never)).rejects.toThrow(why);
  });
});
