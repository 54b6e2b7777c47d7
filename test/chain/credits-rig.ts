/** A city's chain with its registry and its credits, a gateway that mints there, and plants of it. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Hex } from 'viem';
import { toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { expect } from 'vitest';
import type { CreditTxRow } from '../../edge/chain/credit-transactions.ts';
import { deployCredits } from '../../edge/chain/deploy.ts';
import { makeConfig } from '../../edge/config.ts';
import type { Crediting } from '../../edge/crediting.ts';
import { openIdentity } from '../../edge/identity.ts';
import { HOUR } from '../../edge/wire/boundary.ts';
import { type Reading, START, TestPlant } from '../credits/rig-gateway.ts';
import { CHAIN_ID, CITY, ORIGIN, type TestChain } from '../support/anvil.ts';
import { checkCreditsOnChain } from '../support/credit-truth.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { CityRegistry } from './city-registry.ts';
import { City, FAST } from './rig.ts';

export class CreditCity {
  readonly city: City;
  readonly registry: CityRegistry;
  readonly credits: Hex;
  /** The gateway's own. */
  readonly account: Hex;

  private constructor(city: City, registry: CityRegistry, credits: Hex, account: Hex) {
    this.city = city;
    this.registry = registry;
    this.credits = credits;
    this.account = account;
  }

  static async build(): Promise<CreditCity> {
    const city = await City.build();
    const registry = await CityRegistry.deploy(city.chain);
    const of = { anchors: city.contract.address, devices: registry.contract };
    const { credits } = await deployCredits(city.chain.rpc, CHAIN_ID, CITY, of, () => undefined);
    const identity = openIdentity(makeConfig({ dataFolder: city.dataFolder }));
    const { address } = privateKeyToAccount(toHex(identity.creditsKey()));
    await city.chain.fund(address);
    return new CreditCity(city, registry, credits, address);
  }

  get chain(): TestChain {
    return this.city.chain;
  }

  /** @param over of the chain section */
  gateway(
    over: Parameters<City['gateway']>[0] = {},
    { dataFolder = this.city.dataFolder, origin = ORIGIN } = {},
  ): Promise<TestGateway> {
    const { city, registry, credits } = this;
    return startTestGateway({
      dataFolder,
      log: { origin },
      clock: { source: 'synced' },
      chain: {
        ...{ mode: 'rpc', rpc: city.chain.rpc, anchors: city.contract.address, devices: registry.contract, credits },
        ...FAST,
        ...over,
      },
      credits: { everySeconds: 0.1 },
    });
  }

  /** Another one, with a log of its own and the keys of the first. */
  second(): Promise<TestGateway> {
    const dataFolder = tempFolder();
    cpSync(join(this.city.dataFolder, 'keys'), join(dataFolder, 'keys'), { recursive: true });
    return this.gateway({}, { dataFolder, origin: 'sejong.example/edge-2' });
  }

  /** Enrolled, and on the registry. @param owner on the chain, where it is not the gateway's account */
  async plant(
    gateway: TestGateway,
    name = 'roof',
    owner: Hex = this.account,
    more: Parameters<typeof TestPlant.at>[2] = {},
  ): Promise<TestPlant> {
    const plant = await TestPlant.at(gateway, name, more);
    await this.registry.register(plant, { salt: null, owner, energySource: 'solar', capacityW: 10_000 });
    return plant;
  }

  /** All that is on the chain is in the store, and true; answers what it adds up to. */
  async finish(gateway: TestGateway): ReturnType<typeof checkCreditsOnChain> {
    await until(() => creditingOf(gateway).minter?.inFlight().length === 0, 'nothing is on its way');
    const head = Number(await this.chain.client.getBlockNumber());
    await until(() => (creditingOf(gateway).state?.block ?? 0) >= head, 'all of it is followed');
    await gateway.finish();
    return checkCreditsOnChain(this.city.dataFolder, this.chain.client, this.credits);
  }
}

export function creditingOf(gateway: TestGateway): Crediting {
  const { crediting } = gateway.parts;
  if (!crediting) throw new Error('a gateway without credits');
  return crediting;
}

/** Hours one after the other, of `wh` each. @returns readings, one more */
export const hours = (count: number, from = 0, wh = 500): Reading[] =>
  Array.from({ length: count + 1 }, (_, i): Reading => [from + i, 1000 + (from + i) * wh]);

export const slotAt = (hour: number): number => START + hour * HOUR;

export const minted = (gateway: TestGateway, count: number): Promise<void> =>
  until(
    () => creditingOf(gateway).summary().certificates === count,
    `${count} certificates: ${JSON.stringify([creditingOf(gateway).summary(), gateway.lines])}`,
  );

/** Rows of the sender, oldest first. */
export const creditRows = (gateway: TestGateway): CreditTxRow[] =>
  creditingOf(gateway).transactions.list(1000).reverse();

export const mintsOf = (gateway: TestGateway): CreditTxRow[] =>
  creditRows(gateway).filter(({ purpose }) => purpose === 'mint');

export function expectOne<T>(list: readonly T[]): T {
  expect(list).toHaveLength(1);
  return list[0] as T;
}
