/** The contracts of credits on a real chain: deployed, followed over a reorg, and what a wallet does there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Hex, keccak256, toBytes, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { CreditEventsFollower } from '../../edge/chain/credit-events.ts';
import {
  creditAddresses,
  creditsAbi,
  deployKrwData,
  krwAbi,
  marketAbi,
  residualTokenIdOf,
} from '../../edge/chain/credits-contract.ts';
import { deployDevicesData } from '../../edge/chain/devices-contract.ts';
import { sendOnce } from '../../edge/chain/setup.ts';
import { accountOf, Wallet } from '../../edge/chain/wallet.ts';
import { CreditEvents } from '../../edge/store/credit-events.ts';
import { Store } from '../../edge/store/store.ts';
import { CHAIN_ID, CITY, TestChain } from '../support/anvil.ts';
import { onTestFinished } from '../support/ends.ts';
import { tempFolder, until } from '../support/temp.ts';

const key = (name: string): Uint8Array => toBytes(keccak256(toBytes(name)));

async function credits() {
  const chain = await TestChain.start();
  const anchors = (await chain.deploy()).address;
  const { contractAddress } = await sendOnce(
    chain.client,
    CITY,
    CHAIN_ID,
    undefined,
    deployDevicesData(CITY.address),
    'Devices',
  );
  const store = await Store.open(join(tempFolder(), 'edge.db'));
  onTestFinished(() => store.close());
  const table = new CreditEvents(store);
  const secretKey = key('credits account');
  const at = creditAddresses(accountOf(secretKey));
  const lines: string[] = [];
  const follower = new CreditEventsFollower(table, {
    ...{ rpc: chain.rpc, chainId: CHAIN_ID, credits: at.credits, market: at.market, fromBlock: 0, pollSeconds: 0.05 },
    ...{ maxEvents: 100, onTooMany: () => undefined, report: (line) => lines.push(line) },
    deployer: { secretKey, anchors, devices: contractAddress as Hex, bank: CITY.address },
  });
  onTestFinished(() => follower.stop());
  await follower.start(5000);
  if (follower.state.problem) throw new Error(follower.state.problem);
  const wallet = (name: string): Wallet =>
    new Wallet({ rpc: chain.rpc, chainId: CHAIN_ID, ...at, secretKey: key(name) });
  return { chain, at, table, follower, wallet, lines };
}

it('the interfaces that are written here are those of the contracts', () => {
  for (const [name, abi] of [
    ['Credits', creditsAbi],
    ['Market', marketAbi],
    ['KrwDepositToken', krwAbi],
  ] as const) {
    const url = new URL(`../../contracts/artifacts/${name}.json`, import.meta.url);
    const theirs = (JSON.parse(readFileSync(url, 'utf8')) as { abi: Item[] }).abi.map(said);
    for (const item of abi as unknown as Item[]) expect(theirs, `${name}.${item.name}`).toContain(said(item));
  }
});

type Param = { type: string; name?: string; indexed?: boolean; components?: Param[] };
type Item = { type: string; name?: string; inputs?: Param[] };
/** In one line: what it is, its name, and its arguments with their types and names. */
const said = ({ type, name, inputs = [] }: Item): string => `${type} ${name}(${inputs.map(argument).join(', ')})`;
const argument = ({ type, name = '', indexed, components }: Param): string =>
  `${components ? `(${components.map(argument).join(', ')})` : ''}${type}${indexed ? ' indexed' : ''} ${name}`;

describe('on a chain of our own', () => {
  it('the contracts are deployed where they are expected, and once', async () => {
    const { chain, at, follower } = await credits();
    for (const address of Object.values(at)) expect(await chain.client.getCode({ address })).toBeDefined();
    const nonce = (): Promise<number> =>
      chain.client.getTransactionCount({ address: accountOf(key('credits account')) });
    expect(await nonce()).toBe(3);
    follower.wake();
    const { block } = follower.state;
    await chain.call('anvil_mine');
    await until(() => (follower.state.block ?? 0) > (block ?? 0), 'it follows');
    expect(await nonce()).toBe(3);
  });

  it('what nobody has cannot be claimed, listed or bought, and the contracts say why', async () => {
    const { wallet } = await credits();
    const someone = wallet('someone');
    await someone.fund();
    const point = keccak256(toBytes('urn:sejong:mp:000123'));
    const claim = someone.claim([{ meteringPoint: point, slot: 1_795_507_200, wh: 1 }], point, 'k-re100');
    await expect(claim).rejects.toMatchObject({
      code: 'CHAIN_REFUSED',
      detail: expect.stringContaining('SlotClaimed('),
    });
    const month = Date.UTC(2026, 9, 31, 15) / 1000; // November, by KST
    const residual = someone.claimResidual({ meteringPoint: point, month, wh: 1 }, point, 'own-use');
    const token = BigInt(residualTokenIdOf(point, month));
    await expect(residual).rejects.toMatchObject({
      detail: expect.stringContaining(`ERC1155InsufficientBalance(${someone.address}, 0, 1, ${token})`),
    });
    await expect(someone.list(toHex(5, { size: 32 }), 0, 1n)).rejects.toMatchObject({
      detail: expect.stringContaining('BadTerms(0, 1, '),
    });
    await expect(someone.cancel(1)).rejects.toMatchObject({ detail: expect.stringContaining('UnknownListing(1)') });
  });

  it('offers are followed into the table, and a reorg takes them back', async () => {
    const { chain, table, follower, wallet } = await credits();
    const seller = wallet('seller');
    await seller.fund();
    const snapshot = await chain.call('evm_snapshot');
    const token = toHex(5, { size: 32 });
    const { listing } = await seller.list(token, 412, 70_000n);
    expect(listing).toBe(1);
    expect(await seller.listing(1)).toMatchObject({ seller: seller.address, id: token, price: 70_000n, left: 412 });
    await until(() => table.counts().events === 1, 'it is followed');
    await seller.cancel(1);
    await until(() => table.counts().events === 2, 'it is followed');
    await chain.call('evm_revert', snapshot);
    await chain.call('anvil_mine', '0x20');
    // The table first, and the count when that is on disk.
    await until(() => table.counts().events === 0 && follower.state.rewinds === 1, 'it is taken back');
  });

  it('mock money is issued by its bank alone', async () => {
    const chain = await TestChain.start();
    const bank = privateKeyToAccount(toHex(key('bank')));
    await chain.fund(bank.address);
    const { contractAddress } = await sendOnce(
      chain.client,
      bank,
      CHAIN_ID,
      undefined,
      deployKrwData(bank.address),
      'Krw',
    );
    const krw = contractAddress as Hex;
    const mint = { address: krw, abi: krwAbi, functionName: 'mint', args: [CITY.address, 5n] } as const;
    await chain.client.simulateContract({ ...mint, account: bank.address });
    await expect(chain.client.simulateContract({ ...mint, account: CITY.address })).rejects.toThrow();
  });
});
