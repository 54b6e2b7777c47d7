/** What a newcomer sees of certificates in the first minute, from the command line; and what the chain says of it. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EmbeddedChain } from '../../edge/chain/embedded.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { start } from '../support/cli.ts';
import { checkCreditsOnChain, hoursOf } from '../support/credit-truth.ts';
import { tempFolder } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

type Hex = `0x${string}`;
type Result = { certificates: number; mintedWh: number; refusedMints: number; ackedButMissing: number };

const demo = (data: string, ...more: string[]) =>
  start('npm', [
    ...['start', '--silent', '--', '--data', data, '--mqtt', '0', '--http', '0', '--seed', '5', '--every', '1'],
    ...['--meters', '1', '--plants', '0', '--vehicles', '0', '--no-hostile', '--no-gate', ...more],
  ]);

/** Seconds of the day that a line begins with. */
const at = (line: string): number => {
  const [h, m, s] = line.slice(0, 8).split(':').map(Number) as [number, number, number];
  return h * 3600 + m * 60 + s;
};
const said = (lines: readonly string[], pattern: RegExp): string[] =>
  lines.filter((line) => pattern.test(line.slice(10)));

it('plants that come online with their day have certificates within a minute; each ugly one is told, one is claimed and traded', {
  timeout: 240_000,
}, async () => {
  const data = join(tempFolder(), 'data');
  const first = demo(data, '--for', '75');
  const begun = at(await first.line(/^\d\d:\d\d:\d\d {2}Sejong Edge /));
  const minted = at(await first.line(/^\d\d:\d\d:\d\d {2}credits honest {4}\d+ certificates? /));
  expect((minted - begun + 86_400) % 86_400).toBeLessThan(60);
  const credits = (await first.line(/^\d\d:\d\d:\d\d {2}credits contract /)).match(/0x[0-9a-fA-F]{40}/)?.[0] as Hex;
  await first.line(/^\{"entries"/);
  expect(await first.stop('SIGCONT')).toBe(0);
  const result = JSON.parse(first.lines.at(-1) as string) as Result;
  const lines = first.lines;

  // What became of each.
  for (const plant of ['honest', 'swapped', 'rollover', 'liar', 'duplicate', 'profile'])
    expect(
      said(lines, new RegExp(`^credits ${plant} .* minted in block \\d+, transaction 0x[0-9a-f]{64}`)),
      plant,
    ).not.toEqual([]);
  expect(said(lines, /^credits rollover .* began anew /)).toHaveLength(1);
  expect(said(lines, /^credits liar .* refused \d+ hours? .*CREDIT_/)).not.toEqual([]);
  expect(said(lines, /^credits swapped .* are of no hour/)).not.toEqual([]);
  expect(said(lines, /^credits duplicate .* came twice .* each hour was minted once/)).toHaveLength(1);
  const trades = said(lines, /^trade /);
  expect(trades, trades.join('\n')).toHaveLength(2);
  const claims = said(lines, /^claim /);
  expect(claims[0]).toMatch(/ for K-RE100: burned for good, transaction 0x/);
  expect((at(claims[0] as string) - begun + 86_400) % 86_400).toBeLessThan(120);

  // The sums are what the data folder and the chain say.
  expect(result.ackedButMissing).toBe(0);
  const truth = wholeTruth(data, { verifyOneIn: 10 });
  expect(truth.credits).toMatchObject({ minted: result.certificates, refused: result.refusedMints });
  expect(result.certificates).toBeGreaterThan(20);
  expect(result.refusedMints).toBeGreaterThan(0);
  // Nothing that a plant has shown is left out.
  for (const plant of ['honest', 'rollover', 'duplicate', 'profile']) {
    const { shown, minted } = hoursOf(data, `credit plant ${plant}:`);
    expect(minted, plant).toEqual(shown.filter((slot) => slot <= (minted.at(-1) as number)));
    expect(minted.length, plant).toBeGreaterThanOrEqual(8);
  }
  const chain = await EmbeddedChain.start(join(data, 'chain'), 0, () => undefined);
  try {
    const held = await checkCreditsOnChain(data, rpcClient(chain.rpc), credits);
    expect(held).toMatchObject({ certificates: result.certificates, mintedWh: result.mintedWh });
    expect(held.claims).toBeGreaterThan(0);
  } finally {
    await chain.stop();
  }

  // A second start mints nothing of that day again.
  const second = demo(data, '--for', '25');
  await second.line(/^\{"entries"/);
  expect(await second.stop('SIGCONT')).toBe(0);
  const again = JSON.parse(second.lines.at(-1) as string) as Result;
  expect(again.certificates - result.certificates, 'an hour may have ended meanwhile').toBeLessThanOrEqual(10);
  expect(wholeTruth(data, { verifyOneIn: 20 }).credits.minted).toBe(again.certificates);
});
