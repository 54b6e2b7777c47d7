import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AnchorsContract, anchorData } from '../../edge/chain/contract.ts';
import { sendOnce } from '../../edge/chain/setup.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { CHAIN_ID, ChainProxy, CITY, ORIGIN, TestChain } from '../support/anvil.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { checkAnchors } from '../support/whole-truth.ts';
import { allAnchored, contractOf, FAST, Meter, rows, STILL } from './rig.ts';

const STEPS = ['receipt format', 'canonical bytes', 'checkpoint signature', 'inclusion'];

type Verdict = { failed: string | undefined; steps: string[]; last: Step };
async function verify(receipt: string, key: string, chain?: { rpc: string; contract: string }): Promise<Verdict> {
  const said: Step[] = [];
  const failed = await verifyReceipt(receipt, key, chain, (step) => said.push(step));
  for (const { detail } of said) expect(detail).not.toContain('\n');
  // One or the other: what the gateway says of itself is public, and a meter's reading sealed.
  const signed = said.filter(({ name }) => ['device signature', 'seal'].includes(name));
  expect(signed).toHaveLength(1);
  return { failed, steps: said.filter((s) => !signed.includes(s)).map((s) => s.name), last: said.at(-1) as Step };
}
const holds = (verdict: Verdict): void => {
  expect(verdict.failed, verdict.last.detail).toBeUndefined();
  expect(verdict.steps).toEqual([...STEPS, 'anchored root']);
};
const failsAtTheChain = (verdict: Verdict, detail: RegExp): void => {
  expect(verdict.failed).toBe('anchored root');
  expect(verdict.steps).toEqual([...STEPS, 'anchored root']);
  expect(verdict.last).toMatchObject({ ok: false, name: 'anchored root', detail: expect.stringMatching(detail) });
};

const receiptOf = async (gateway: TestGateway, index: number, format = 'json'): Promise<string> =>
  (await gateway.api(`/entries/${index}/receipt?format=${format}`)).text;

/** The chain as the data folder keeps it, without the gateway: `anvil --load-state`, but under our guard. */
function chainOf(dataFolder: string): Promise<TestChain> {
  const folder = tempFolder();
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(dataFolder, 'chain', 'anvil-state.json'), join(folder, 'anvil-state.json'));
  return TestChain.start(folder);
}

describe('an auditor, with the gateway closed', () => {
  it('finds the root of every anchored receipt on the chain, in both formats, and none of the rest', async () => {
    const gateway = await startTestGateway({ log: STILL, chain: { mode: 'embedded', ...FAST } });
    const { dataFolder } = gateway.config;
    const key = gateway.parts.log.verifierKey;
    const contract = gateway.info.anchors as `0x${string}`;
    const meter = await Meter.at(gateway);
    await allAnchored(gateway);
    await meter.send(4);
    await allAnchored(gateway);
    const sizes = rows(gateway).map((r) => r.size);
    expect(sizes).toEqual([1, 5]);
    const receipts: string[] = [];
    for (let index = 0; index < 5; index++)
      for (const format of ['json', 'tlog-proof']) receipts.push(await receiptOf(gateway, index, format));
    await checkAnchors(dataFolder, contractOf(gateway));
    await gateway.finish();

    const chain = await chainOf(dataFolder);
    const { rpc } = chain;
    for (const receipt of receipts) holds(await verify(receipt, key, { rpc, contract }));
    const receipt = receipts.at(-1) as string;

    const nothing = `0x${'00'.repeat(19)}01`;
    failsAtTheChain(
      await verify(receipt, key, { rpc, contract: CITY.address }),
      /^CHAIN_WRONG: there is no contract at 0x\w+ on chain 31337$/,
    );
    failsAtTheChain(
      await verify(receipt, key, { rpc, contract: nothing }),
      /^CHAIN_WRONG: there is no contract at 0x0\w+1 on chain 31337$/,
    );
    // Another chain, where nobody is at that address; and one where somebody else is.
    const other = await TestChain.start();
    failsAtTheChain(
      await verify(receipt, key, { rpc: other.rpc, contract }),
      /^CHAIN_WRONG: there is no contract at 0x\w+ on chain 31337$/,
    );
    await other.call('anvil_setCode', contract, '0x60015f5260205ff3');
    failsAtTheChain(await verify(receipt, key, { rpc: other.rpc, contract }), /^\w+: .*$/);

    // A contract where another log goes by the same origin: with the same size, and without it.
    const same = await other.deploy(CITY);
    failsAtTheChain(
      await verify(receipt, key, { rpc: other.rpc, contract: same.address }),
      /^RECEIPT_INVALID: 0x\w+ on chain 31337 holds no root of 5 entries for sejong\.example\/edge-1; fetch the receipt again after the next anchor$/,
    );
    const forged = new Uint8Array(32).fill(7);
    await sendOnce(other.client, CITY, CHAIN_ID, same.address, anchorData(ORIGIN, 5, forged, []), 'anchor');
    expect((await new AnchorsContract(other.client, same.address).head(ORIGIN)).size).toBe(5);
    failsAtTheChain(
      await verify(receipt, key, { rpc: other.rpc, contract: same.address }),
      /^RECEIPT_INVALID: 0x\w+ on chain 31337 holds another root for 5 entries$/,
    );

    // The chain is away, or a node that answers nonsense.
    const proxy = await ChainProxy.start(chain);
    proxy.fate = () => ({ status: 502, body: '<html>bad gateway</html>' });
    failsAtTheChain(
      await verify(receipt, key, { rpc: proxy.rpc, contract }),
      /^CHAIN_AWAY: http:\S+ \(HTTP status 502\)$/,
    );
    proxy.fate = () => ({ result: 'nonsense' });
    failsAtTheChain(await verify(receipt, key, { rpc: proxy.rpc, contract }), /^CHAIN_\w+: .+$/);
    await chain.stop();
    failsAtTheChain(await verify(receipt, key, { rpc, contract }), /^CHAIN_AWAY: http:\S+ \(.*ECONNREFUSED.*\)$/);
    // Without the chain part nothing is asked of a chain.
    expect(await verify(receipt, key)).toMatchObject({ failed: undefined, steps: STEPS });
  });

  it('is told that a checkpoint is not anchored, by the step of that name', async () => {
    const gateway = await startTestGateway({ log: STILL, chain: { mode: 'embedded', ...FAST, everySeconds: 86_400 } });
    const { dataFolder } = gateway.config;
    const key = gateway.parts.log.verifierKey;
    const contract = gateway.info.anchors as string;
    await allAnchored(gateway);
    await (await Meter.at(gateway)).send(2);
    // The next anchor is due tomorrow.
    const receipt = await receiptOf(gateway, 2);
    await checkAnchors(dataFolder, contractOf(gateway));
    await gateway.close(0);
    await gateway.finish();
    const { rpc } = await chainOf(dataFolder);
    failsAtTheChain(
      await verify(receipt, key, { rpc, contract }),
      /^RECEIPT_INVALID: .* holds no root of 3 entries for sejong\.example\/edge-1; fetch the receipt again after the next anchor$/,
    );
  });
});
