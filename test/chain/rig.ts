/** What the chain's tests share: a gateway on a test's chain, and a meter that makes its log grow. */
import { writeFileSync } from 'node:fs';
import type { MqttClient } from 'mqtt';
import type { PrivateKeyAccount } from 'viem/accounts';
import { expect } from 'vitest';
import { AnchorsContract } from '../../edge/chain/contract.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import type { TxRow } from '../../edge/chain/transactions.ts';
import type { Config } from '../../edge/config.ts';
import { CHAIN_ID, TestChain } from '../support/anvil.ts';
import { start } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors } from '../support/whole-truth.ts';

type ChainConfig = Partial<Config['chain']>;

/** Looks at the chain so often, and anchors so often, that a test need not wait. */
export const FAST: ChainConfig = { everySeconds: 0.1, pollSeconds: 0.1, confirmations: 1 };

/** Checkpoints are made by Meter.send, and only there: which sizes are anchored is then no matter of time. */
export const STILL: Partial<Config['log']> = { checkpointSeconds: 3600, checkpointEntries: 1_000_000 };

/** Each entry is a reason to sign a checkpoint, unless something forbids it. */
export const EAGER: Partial<Config['log']> = { checkpointSeconds: 3600, checkpointEntries: 1 };

/** A chain, and on it a contract for a gateway that is still to be started. */
export class City {
  readonly chain: TestChain;
  readonly dataFolder: string;
  readonly account: PrivateKeyAccount;
  readonly contract: AnchorsContract;

  private constructor(chain: TestChain, dataFolder: string, account: PrivateKeyAccount, contract: AnchorsContract) {
    this.chain = chain;
    this.dataFolder = dataFolder;
    this.account = account;
    this.contract = contract;
  }

  static async build(): Promise<City> {
    const chain = await TestChain.start();
    const dataFolder = tempFolder();
    const account = await chain.account(dataFolder);
    return new City(chain, dataFolder, account, await chain.deploy(account));
  }

  /** @param over of the chain section; `rpc` where there is a proxy before the chain */
  gateway(over: ChainConfig = {}, { dataFolder = this.dataFolder, log = STILL } = {}): Promise<TestGateway> {
    return startTestGateway({
      dataFolder,
      log,
      chain: { mode: 'rpc', rpc: this.chain.rpc, anchors: this.contract.address, ...FAST, ...over },
    });
  }

  /** A gateway in a process of its own, up to its death at a fault point (edge/faults.ts). */
  async killedAt(fault: string, dataFolder = this.dataFolder): Promise<void> {
    const config = `${tempFolder()}.yaml`;
    writeFileSync(
      config,
      `dataFolder: ${dataFolder}\nmqtt: {port: 0}\nhttp: {port: 0}\nlog: {checkpointSeconds: 3600}\n` +
        `chain: {mode: rpc, rpc: "${this.chain.rpc}", chainId: ${CHAIN_ID}, anchors: "${this.contract.address}", everySeconds: 1, pollSeconds: 0.2, confirmations: 2}\n`,
    );
    const gateway = start(process.execPath, ['edge/main.ts', 'run', '--config', config], {
      env: { SEJONG_EDGE_FAULTS: `${fault}=kill@1` },
    });
    await gateway.stop('SIGCONT');
    expect(gateway.child.signalCode, gateway.lines.join('\n')).toBe('SIGKILL');
  }

  /**
   * Each test ends here: close, the whole truth, every root on the chain, and nothing sent in vain.
   * @param others transactions of the gateway's account that are no anchors, but for deploy and register
   */
  async finish(gateway: TestGateway, others = 0): Promise<void> {
    const { entries } = await gateway.finish();
    await checkAnchors(gateway.config.dataFolder, this.contract);
    expect((await this.contract.head(gateway.info.origin)).size, 'the last checkpoint is anchored').toBe(entries);
    const { address } = this.account;
    const sent = (await this.chain.client.getTransactionCount({ address })) - others - 2;
    expect(sent, 'anchors sent').toBe((await this.chain.anchorsMined(this.contract.address)).length);
  }
}

/** A meter that is enrolled and connected. */
export class Meter {
  readonly gateway: TestGateway;
  readonly device: TestDevice;
  readonly client: MqttClient;

  private constructor(gateway: TestGateway, device: TestDevice, client: MqttClient) {
    this.gateway = gateway;
    this.device = device;
    this.client = client;
  }

  /** @param device one that another run of the gateway has enrolled, with its counter */
  static async at(gateway: TestGateway, device?: TestDevice): Promise<Meter> {
    const own = device ?? (await new TestDevice('000123').enrol(gateway));
    return new Meter(gateway, own, await own.connect(gateway));
  }

  /** Resolves when all are acknowledged, and under a checkpoint where one may be signed. */
  async send(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) await this.device.publish(this.client, this.device.envelope());
    const { log, checkpointer } = this.gateway.parts;
    const still = this.gateway.config.log.checkpointEntries > 1;
    if (still && checkpointer.held === undefined) await log.makeCheckpoint(Date.now());
  }
}

export const contractOf = (gateway: TestGateway): AnchorsContract =>
  new AnchorsContract(rpcClient(gateway.info.rpc as string), gateway.info.anchors as `0x${string}`);

export const chainState = (gateway: TestGateway) => {
  const { anchorer } = gateway.parts;
  if (!anchorer) throw new Error('a gateway without a chain');
  return anchorer.state;
};

/** Rows of the sender, oldest first. */
export const rows = (gateway: TestGateway): TxRow[] =>
  gateway.parts.anchorer?.transactions.list(1000, Number.MAX_SAFE_INTEGER).reverse() ?? [];

/** Every entry is under a checkpoint that the gateway knows to be on the chain. */
export const allAnchored = (gateway: TestGateway): Promise<void> =>
  until(
    () => {
      const { log } = gateway.parts;
      const last = rows(gateway).at(-1);
      return chainState(gateway).headSize === log.size && (last?.status === 'mined' || last?.status === 'confirmed');
    },
    `all ${gateway.parts.log.size} entries anchored: ${JSON.stringify(chainState(gateway))}`,
  );

export const line = (gateway: { lines: string[] }, text: string | RegExp): Promise<void> =>
  until(() => linesOf(gateway, text).length > 0, `a line ${text}, among ${JSON.stringify(gateway.lines)}`);

export const linesOf = ({ lines }: { lines: string[] }, text: string | RegExp): string[] =>
  lines.filter((l) => (typeof text === 'string' ? l.includes(text) : text.test(l)));

type Health = { status: string; parts: Record<string, { ok: boolean; detail: string }> };
export const healthOf = async (gateway: TestGateway): Promise<Health> =>
  (await gateway.api('/health', { token: null })).body as Health;

export const metric = async (gateway: TestGateway, name: string): Promise<number> => {
  const { text } = await gateway.api('/metrics', { token: null });
  return Number(new RegExp(`^sejong_edge_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
};
