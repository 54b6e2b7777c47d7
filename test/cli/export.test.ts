import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bundleLines } from '../../edge/log/bundle.ts';
import { MAX_RECEIPT } from '../../edge/log/receipt.ts';
import { verifyBundle } from '../../edge/verify-bundle.ts';
import { edge } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

const offer = (gateway: TestGateway, device: TestDevice) =>
  gateway.parts.accept.offer(device.envelope(), { did: device.did, topic: 'test' });

async function* chunks(bytes: Uint8Array, size = 1000): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const check = (text: string, key: string) => verifyBundle(chunks(Buffer.from(text)), key, undefined, () => undefined);

describe('a bundle', () => {
  it('is written beside a running gateway and without one, and verifies with nothing but the key, after pruning too', async () => {
    const values = { clock: { source: 'synced' as const } };
    const gateway = await startTestGateway({ ...values, log: { checkpointSeconds: 3600 } });
    const { dataFolder } = gateway.config;
    const a = await new TestDevice('a').enrol(gateway);
    const b = await new TestDevice('b', 'meter', 'P-256').enrol(gateway);
    for (let i = 0; i < 60; i++) await Promise.all([...Array(5).fill(a), b].map((d: TestDevice) => offer(gateway, d)));
    await gateway.parts.log.makeCheckpoint(Date.now());
    await offer(gateway, a); // beyond the checkpoint: not in the bundle
    const key = gateway.parts.log.verifierKey;
    const folder = tempFolder();
    const out = join(folder, 'all.bundle');
    const run = await edge(['export', '--data', dataFolder, '--out', out]);
    expect([run.code, run.stderr]).toEqual([0, '']);
    expect(run.stdout).toContain(`${out}: 361 entries, 0 pruned before`);
    expect((await edge(['export', '--data', dataFolder, '--out', out])).code, 'it is there already').toBe(2);
    await gateway.finish({ verifyOneIn: 20 });

    const again = await startTestGateway({ dataFolder, ...values, retention: { days: 1e-9 } });
    await until(() => again.parts.log.minimumIndex === 256, 'what can go is gone');
    await again.finish({ verifyOneIn: 20 });
    const verified = await edge(['verify', out, '--key', key]);
    expect([verified.code, verified.stderr]).toEqual([0, '']);
    expect(verified.stdout).toMatch(/The bundle holds: 361 entries under 1 checkpoints\.\n$/);

    const rest = join(folder, 'rest.bundle');
    expect((await edge(['export', '--data', dataFolder, '--out', rest])).stdout).toContain('107 entries, 255 pruned');
    expect((await edge(['verify', rest, '--key', key])).code).toBe(0);
    const mine = join(folder, 'mine.bundle');
    await edge(['export', '--data', dataFolder, '--out', mine, '--device', b.did, '--from', '200', '--to', '300']);
    expect(await check(readFileSync(mine, 'utf8'), key)).toMatchObject({ failed: undefined, entries: 7 });

    // A line of it is a receipt by itself.
    const line = readFileSync(out, 'utf8').split('\n')[17] as string;
    writeFileSync(join(folder, 'one.json'), line);
    expect((await edge(['verify', join(folder, 'one.json'), '--key', key])).code).toBe(0);
  });

  it('does not verify with a byte changed, a line less, a line twice, or its end cut off', async () => {
    const gateway = await startTestGateway();
    const a = await new TestDevice('a').enrol(gateway);
    for (let i = 0; i < 5; i++) await offer(gateway, a);
    await gateway.parts.log.makeCheckpoint(Date.now());
    const key = gateway.parts.log.verifierKey;
    const out = join(tempFolder(), 'x.bundle');
    expect((await edge(['export', '--data', gateway.config.dataFolder, '--out', out])).code).toBe(0);
    await gateway.finish();
    const text = readFileSync(out, 'utf8');
    expect(await check(text, key)).toEqual({
      entries: 6,
      sealed: 5,
      forgotten: 0,
      pruned: 0,
      checkpoints: 1,
      failed: undefined,
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.integer({ min: 0x20, max: 0x7e }), async (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
        // Names that nobody reads, and what hints at a chain, prove nothing; what is verified is what is signed.
        if (changed !== text) expect((await check(changed, key)).failed, `byte ${at}`).toBeDefined();
      }),
      { numRuns: 60, seed: 9 },
    );
    const lines = text.trimEnd().split('\n');
    const flipped = (name: string): string => {
      const receipt = JSON.parse(lines[3] as string) as Record<string, string>;
      const bytes = Buffer.from(receipt[name] as string, 'base64');
      bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
      return JSON.stringify({ ...receipt, [name]: bytes.toString('base64') });
    };
    const withoutOpening = JSON.stringify({ ...JSON.parse(lines[3] as string), opening: undefined });
    const opening4 = /"opening":\{.*?\}/.exec(lines[4] as string)?.[0] as string;
    const joined = (some: string[]): string => `${some.join('\n')}\n`;
    for (const [bad, step] of [
      [joined(lines.with(3, flipped('entry'))), 'seal'],
      [joined(lines.with(3, withoutOpening)), 'bundle end'],
      [joined(lines.with(3, (lines[3] as string).replace('"salt":"', '"salt":"AAAA'))), 'receipt format'],
      [joined(lines.with(3, (lines[3] as string).replace(/"opening":\{.*?\}/, opening4))), 'canonical bytes'],
      [joined(lines.with(3, (lines[3] as string).replace('"index":2', '"index":3'))), 'inclusion'],
      [joined(lines.toSpliced(3, 1)), 'bundle end'],
      [joined(lines.toSpliced(3, 0, lines[3] as string)), 'receipt format'],
      [joined(lines.slice(0, -1)), 'bundle end'],
      [text.slice(0, -1), 'bundle format'],
      [joined([...lines, lines[1] as string]), 'bundle format'],
      [joined(lines.with(-1, '{"end":true,"entries":5,"pruned":1}')), 'bundle end'],
      ['', 'bundle end'],
    ] as const)
      expect((await check(bad, key)).failed, step).toBe(step);
    writeFileSync(out, joined(lines.with(3, flipped('entry'))));
    const { code, stdout } = await edge(['verify', out, '--key', key]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAIL {2}seal +entry 2: SIGNATURE_INVALID/);
  });

  it('comes out as the same lines however it is cut into pieces, and no line fills the memory', async () => {
    const text = 'one\n\nthree, somewhat longer\nné\n';
    for (const size of [1, 2, 7, 100]) {
      const lines: string[] = [];
      for await (const line of bundleLines(chunks(Buffer.from(text), size))) lines.push(line);
      expect(lines).toEqual(text.split('\n').slice(0, -1));
    }
    const endless = async (): Promise<void> => {
      for await (const _ of bundleLines(chunks(new Uint8Array(3 * MAX_RECEIPT), 65_536))) throw new Error('a line?');
    };
    await expect(endless()).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  });
});
