/** A chain that the test owns, what goes wrong between it and the gateway, and a gateway's account on it. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createPublicClient, type Hex, http, type PublicClient, parseEther, toHex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { AnchorsContract } from '../../edge/chain/contract.ts';
import { deployContract } from '../../edge/chain/deploy.ts';
import { EmbeddedChain } from '../../edge/chain/embedded.ts';
import { makeConfig } from '../../edge/config.ts';
import { openIdentity } from '../../edge/identity.ts';
import { onTestFinished } from './ends.ts';
import { tempFolder } from './temp.ts';

/** anvil's first development account: public knowledge, with 10,000 ether on every new anvil. */
export const CITY = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80');
export const CHAIN_ID = 31_337;
export const ORIGIN = 'sejong.example/edge-1';

export class TestChain {
  readonly folder: string;
  #anvil: EmbeddedChain | undefined;
  #port = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @param folder with the state of another chain, to begin from */
  static async start(folder = tempFolder()): Promise<TestChain> {
    const chain = new TestChain(folder);
    await chain.start();
    onTestFinished(() => chain.stop());
    return chain;
  }

  /** Where it was before, with the state it had. */
  async start(): Promise<void> {
    this.#anvil = await EmbeddedChain.start(this.folder, this.#port, (line) => {
      throw new Error(line);
    });
    this.#port = Number(new URL(this.#anvil.rpc).port);
  }

  async stop(): Promise<void> {
    await this.#anvil?.stop();
    this.#anvil = undefined;
  }

  get rpc(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get client(): PublicClient {
    return createPublicClient({ transport: http(this.rpc, { retryCount: 0 }), cacheTime: 0, pollingInterval: 20 });
  }

  /** anvil's own methods: anvil_*, evm_*. */
  call<T = unknown>(method: string, ...params: unknown[]): Promise<T> {
    return this.client.request({ method, params } as never) as Promise<T>;
  }

  fund(address: Hex, ether = '10'): Promise<unknown> {
    return this.call('anvil_setBalance', address, toHex(parseEther(ether)));
  }

  /** The sizes that were ever anchored at `contract`, by its events: each stands once. */
  async anchorsMined(contract: Hex): Promise<number[]> {
    const logs = await this.client.getLogs({ address: contract, fromBlock: 0n });
    return logs.filter(({ topics, data }) => topics.length === 3 && data.length === 66).map((l) => Number(l.topics[2]));
  }

  /** The account of a gateway that is still to be started on this (or a new) data folder. */
  async account(dataFolder: string, ether = '10'): Promise<PrivateKeyAccount> {
    const account = privateKeyToAccount(toHex(openIdentity(makeConfig({ dataFolder })).anchorKey));
    await this.fund(account.address, ether);
    return account;
  }

  /** A contract that belongs to `owner`, who is registered for `origin` too. */
  async deploy(owner: PrivateKeyAccount = CITY, origin = ORIGIN): Promise<AnchorsContract> {
    const address = await deployContract(this.rpc, CHAIN_ID, owner, origin, () => undefined);
    return new AnchorsContract(this.client, address);
  }
}

export type Ask = { method: string; params: unknown[]; url: string; headers: IncomingMessage['headers'] };
/**
 * What becomes of one request: forwarded; left hanging for ever; its socket cut; answered with that error, result or
 * HTTP status. With `sent`, the chain gets it all the same, and only the gateway doesn't hear so.
 */
export type Fate =
  | 'forward'
  | 'hang'
  | 'drop'
  | { error: string; code?: number; sent?: true }
  | { result: unknown }
  | { status: number; body: string }
  | { sent: 'hang' | 'drop' };

/** Stands between a gateway and its chain. `fate` decides, `asked` remembers. */
export class ChainProxy {
  readonly #upstream: () => string;
  readonly #server: Server;
  readonly asked: Ask[] = [];
  /** Requests that hang now. */
  hanging = 0;
  fate: (ask: Ask) => Fate | Promise<Fate> = () => 'forward';

  private constructor(upstream: () => string) {
    this.#upstream = upstream;
    this.#server = createServer((request, response) => {
      void this.#answer(request, response).catch(() => request.socket.destroy());
    });
  }

  static async start(chain: { rpc: string }): Promise<ChainProxy> {
    const proxy = new ChainProxy(() => chain.rpc);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    onTestFinished(
      () =>
        new Promise<void>((resolve) => {
          proxy.#server.close(() => resolve());
          proxy.#server.closeAllConnections();
        }),
    );
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get rpc(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The raw transactions that came by, in their order. */
  get raws(): Hex[] {
    return this.asked.filter((a) => a.method === 'eth_sendRawTransaction').map((a) => a.params[0] as Hex);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { id, method, params } = JSON.parse(body) as { id: number; method: string; params?: unknown[] };
    const ask = { method, params: params ?? [], url: request.url ?? '', headers: request.headers };
    this.asked.push(ask);
    const fate = await this.fate(ask);
    const forward = async (): Promise<string> => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(this.#upstream(), { method: 'POST', headers, body })).text();
    };
    const end = (text: string): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    };
    if (typeof fate === 'object' && 'sent' in fate) await forward();
    const what = typeof fate === 'object' && 'sent' in fate && !('error' in fate) ? fate.sent : fate;
    if (what === 'forward') end(await forward());
    else if (what === 'drop') request.socket.destroy();
    else if (what === 'hang') {
      this.hanging++;
      request.socket.once('close', () => this.hanging--);
    } else if ('status' in what) response.writeHead(what.status, { 'content-type': 'text/html' }).end(what.body);
    else if ('result' in what) end(JSON.stringify({ jsonrpc: '2.0', id, result: what.result }));
    else {
      const { error: message, code = -32000 } = what;
      end(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } }));
    }
  }
}

/** Processes with `text` in their command line: /proc has it, so no tool is needed. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false; // it ended meanwhile
      }
    })
    .map(Number);
}
