import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { registerData } from '../../edge/chain/contract.ts';
import { deployContract } from '../../edge/chain/deploy.ts';
import { sendOnce } from '../../edge/chain/setup.ts';
import { EdgeError } from '../../edge/errors.ts';
import { CHAIN_ID, ChainProxy, CITY, type Fate, ORIGIN, TestChain } from '../support/anvil.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors, wholeTruth } from '../support/whole-truth.ts';
import {
  allAnchored,
  City,
  chainState,
  EAGER,
  FAST,
  healthOf,
  line,
  linesOf,
  Meter,
  metric,
  rows,
  STILL,
} from './rig.ts';

/** A start that must fail: its error, which is one line, and the only one about it. */
async function refusal(starting: Promise<unknown>): Promise<EdgeError> {
  const error = await starting.then(
    () => new Error('it started'),
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(EdgeError);
  expect((error as EdgeError).line).not.toContain('\n');
  return error as EdgeError;
}

describe('a chain that others keep', () => {
  it('takes anchors by the same code, at the address in the config', async () => {
    const city = await City.build();
    const gateway = await city.gateway();
    const meter = await Meter.at(gateway);
    await meter.send(4);
    await allAnchored(gateway);
    expect(gateway.info).toMatchObject({ rpc: city.chain.rpc, anchors: city.contract.address });
    expect((await healthOf(gateway)).parts.chain?.ok).toBe(true);
    await city.finish(gateway);
  });

  it('with another chain id than the config says ends the start, in one line', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    proxy.fate = ({ method }) => (method === 'eth_chainId' ? { result: '0x1' } : 'forward');
    const error = await refusal(city.gateway({ rpc: proxy.rpc }));
    expect(error.line).toBe(
      `CHAIN_WRONG: The chain is not the one in the config: ${proxy.rpc} is chain 1, the config says 31337. Correct chain.rpc, chain.chainId, chain.anchors or chain.devices; the gateway sends nothing until they agree.`,
    );
    expect(proxy.raws).toEqual([]);
    wholeTruth(city.dataFolder);
    // All that had started was closed again: the next start finds nothing in its way.
    await city.finish(await city.gateway());
  });

  it('without a contract at the address, or with another one, ends the start, in one line', async () => {
    const city = await City.build();
    const address = '0x00000000000000000000000000000000000a4c05';
    expect(await refusal(city.gateway({ anchors: address }))).toMatchObject({
      code: 'CHAIN_WRONG',
      detail: `there is no contract at 0x00000000000000000000000000000000000a4c05 on chain ${CHAIN_ID}`,
    });
    // STOP: takes every call and answers nothing. REVERT: takes none. And one that answers with a single word.
    for (const code of ['0x00', '0x5f5ffd', '0x60015f5260205ff3']) {
      await city.chain.call('anvil_setCode', address, code);
      const error = await refusal(city.gateway({ anchors: address }));
      expect(error, code).toMatchObject({
        code: 'CHAIN_WRONG',
        detail: `what is at ${address} does not answer as an Anchors contract`,
      });
    }
    await city.finish(await city.gateway());
  });

  it('without an address in the config is told to be deployed to, and gets nothing', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    expect(await refusal(city.gateway({ rpc: proxy.rpc, anchors: '' }))).toMatchObject({
      code: 'CONFIG_INVALID',
      line: expect.stringContaining('sejong-edge deploy'),
    });
    expect(proxy.asked).toEqual([]);
    wholeTruth(city.dataFolder);
  });

  it('that is away at the start holds up checkpoints, not readings; one anchor of the newest covers all when it comes', async () => {
    const city = await City.build();
    await city.chain.stop();
    const gateway = await city.gateway({}, { log: EAGER });
    const meter = await Meter.at(gateway);
    await meter.send(5);
    await line(gateway, 'CHAIN_AWAY');
    expect(gateway.parts.log.latest, 'no checkpoint is signed').toBeUndefined();
    expect((await gateway.api('/log/checkpoint', { token: null })).status).toBe(409);
    const health = await healthOf(gateway);
    expect(health).toMatchObject({ status: 'degraded', parts: { log: { ok: false }, chain: { ok: false } } });
    expect(health.parts.log?.detail).toContain('the chain has not said yet what it holds of this log');
    expect(health.parts.chain?.detail).toMatch(/^CHAIN_AWAY: The chain does not answer: http:\S+ \(.*ECONNREFUSED/);
    expect(await metric(gateway, 'checkpoint_held')).toBe(1);
    await meter.send(5);
    await city.chain.start();
    await allAnchored(gateway);
    expect(await metric(gateway, 'checkpoint_held')).toBe(0);
    // The first checkpoint is signed at once, over all that is there.
    expect(rows(gateway).map((r) => r.size)).toEqual([11]);
    expect(linesOf(gateway, 'CHAIN_AWAY')).toHaveLength(1);
    expect(linesOf(gateway, 'all is well again')).toHaveLength(1);
    await city.finish(gateway);
  });

  it('that goes away and comes back is not noticed by intake, and one anchor covers the backlog', async () => {
    const city = await City.build();
    const gateway = await city.gateway();
    const meter = await Meter.at(gateway);
    await meter.send(2);
    await allAnchored(gateway);
    const before = rows(gateway).length;
    await city.chain.stop();
    await line(gateway, 'CHAIN_AWAY');
    // Checkpoints go on as well: what the chain holds of this log was seen since the start.
    for (let i = 0; i < 3; i++) {
      await meter.send(3);
      expect(gateway.parts.log.latest?.size).toBe(gateway.parts.log.size);
    }
    expect(rows(gateway)).toHaveLength(before);
    const { size } = gateway.parts.log;
    await city.chain.start();
    await allAnchored(gateway);
    expect(rows(gateway).slice(before)).toMatchObject([{ size }]);
    expect(linesOf(gateway, 'CHAIN_AWAY')).toHaveLength(1);
    await city.finish(gateway);
  });

  it('that takes connections and never answers holds up neither start nor stop', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    proxy.fate = () => 'hang';
    const gateway = await city.gateway({ rpc: proxy.rpc });
    // Its first question still hangs: the start did not wait for the end of it.
    expect(proxy.hanging).toBe(1);
    expect(gateway.lines).toEqual([]);
    expect((await healthOf(gateway)).parts.chain).toEqual({ ok: false, detail: 'it has not answered yet' });
    await (await Meter.at(gateway)).send(3);
    await gateway.finish();
    expect(proxy.asked).toHaveLength(1);
    expect(gateway.lines, 'not even a time-out').toEqual([]);
    await until(() => proxy.hanging === 0, 'the question is cut off');
    await city.finish(await city.gateway());
  });

  it('that begins to hang in the middle of an anchor does not hold up the stop, and the anchor is not sent twice', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    const gateway = await city.gateway({ rpc: proxy.rpc });
    const meter = await Meter.at(gateway);
    await allAnchored(gateway);
    proxy.fate = ({ method }) => (method === 'eth_sendRawTransaction' ? { sent: 'hang' } : 'forward');
    await meter.send(3);
    await until(() => proxy.hanging === 1, 'the anchor hangs');
    await gateway.finish();
    expect(gateway.lines).toEqual([]);
    proxy.fate = () => 'forward';
    const next = await city.gateway({ rpc: proxy.rpc });
    await allAnchored(next);
    expect(rows(next).map((r) => [r.size, r.status])).toEqual([
      [1, 'confirmed'],
      [4, 'confirmed'],
    ]);
    await city.finish(next);
  });

  it('found to be the wrong one only after the start is said, signs nothing, and is not final', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    const { promise, resolve: answer } = Promise.withResolvers<Fate>();
    proxy.fate = () => promise;
    const gateway = await city.gateway({ rpc: proxy.rpc }, { log: EAGER });
    expect(gateway.lines).toEqual([]);
    proxy.fate = ({ method }) => (method === 'eth_chainId' ? { result: '0x1' } : 'forward');
    answer({ result: '0x1' });
    await line(gateway, 'CHAIN_WRONG');
    await (await Meter.at(gateway)).send(3);
    expect((await healthOf(gateway)).parts.log?.detail).toContain('CHAIN_WRONG');
    expect(gateway.parts.log.latest).toBeUndefined();
    expect(proxy.raws).toEqual([]);
    proxy.fate = () => 'forward';
    await allAnchored(gateway);
    expect(linesOf(gateway, 'CHAIN_WRONG')).toHaveLength(1);
    await city.finish(gateway);
  });

  it('whose contract does not know the sender refuses it by address, until the owner registers it', async () => {
    const chain = await TestChain.start();
    const contract = await chain.deploy(CITY, 'sejong.example/another');
    const dataFolder = tempFolder();
    const { address } = await chain.account(dataFolder);
    const gateway = await startTestGateway({
      dataFolder,
      log: STILL,
      chain: { mode: 'rpc', rpc: chain.rpc, anchors: contract.address, ...FAST },
    });
    const refused = `nobody may anchor for ${ORIGIN}; its owner ${CITY.address} must register ${address}`;
    expect(linesOf(gateway, 'CHAIN_REFUSED')).toEqual([expect.stringContaining(refused)]);
    const meter = await Meter.at(gateway);
    await meter.send(2);
    // The chain has said that it holds nothing of this log, so it may be signed.
    expect(gateway.parts.log.latest?.size).toBe(3);
    const health = await healthOf(gateway);
    expect(health.parts).toMatchObject({
      log: { ok: true },
      chain: { ok: false, detail: expect.stringContaining(refused) },
    });
    expect(await metric(gateway, 'chain_reachable')).toBe(1);
    await sendOnce(chain.client, CITY, CHAIN_ID, contract.address, registerData(ORIGIN, address), 'register');
    await allAnchored(gateway);
    expect(gateway.lines).toHaveLength(2);
    expect(gateway.lines[1]).toBe(`chain: all is well again at ${chain.rpc}`);
    expect((await contract.head(ORIGIN)).size).toBe(3);
    await gateway.finish();
    await checkAnchors(dataFolder, contract);
  });

  it('says so in one line when the sender has no money, and takes the same transaction when it has', async () => {
    const city = await City.build();
    const proxy = await ChainProxy.start(city.chain);
    await city.chain.fund(city.account.address, '0');
    const gateway = await city.gateway({ rpc: proxy.rpc });
    await line(gateway, 'CHAIN_REFUSED');
    expect(gateway.lines).toEqual([
      expect.stringMatching(
        new RegExp(
          `^CHAIN_REFUSED: The chain refused a transaction: the anchor of 1 entries from ${city.account.address}: [^\\n]*insufficient funds[^\\n]*fund the sending account[^\\n]*$`,
          'i',
        ),
      ),
    ]);
    expect((await healthOf(gateway)).parts.chain?.detail).toContain('nsufficient funds');
    await (await Meter.at(gateway)).send(2);
    expect(gateway.lines, 'said once').toHaveLength(1);
    expect(rows(gateway)).toMatchObject([{ status: 'signed', size: 1 }]);
    await city.chain.fund(city.account.address);
    await allAnchored(gateway);
    expect(gateway.lines).toHaveLength(2);
    expect(rows(gateway).map((r) => [r.size, r.hashes.length])).toEqual([
      [1, 1],
      [3, 1],
    ]);
    expect(new Set(proxy.raws).size).toBe(2);
    await city.finish(gateway);
  });
});

describe('the key in an RPC URL', () => {
  const SECRET = 's3cr3t-k3y';
  const failures: [string, Fate][] = [
    ['cuts connections', 'drop'],
    ['answers 401 and quotes the URL', { status: 401, body: `{"error":"bad key ${SECRET}"}` }],
    ['answers 429 with a page', { status: 429, body: `<html>/v2/${SECRET}</html>` }],
    ['answers an RPC error that quotes it', { error: `project id ${SECRET} is over its quota`, code: -32005 }],
    ['answers a word of no meaning that quotes it', { result: SECRET }],
  ];
  const places: [string, (host: string) => string][] = [
    ['path', (host) => `http://${host}/v2/${SECRET}`],
    ['query', (host) => `http://${host}/?apikey=${SECRET}`],
    ['user part', (host) => `http://${SECRET}:${SECRET}-too@${host}/`],
  ];

  for (const [place, url] of places)
    it(`in its ${place} works, and stands in no line, no answer and no file, whatever goes wrong`, async () => {
      const city = await City.build();
      const proxy = await ChainProxy.start(city.chain);
      const rpc = url(`127.0.0.1:${proxy.port}`);
      const gateway = await city.gateway({ rpc });
      const meter = await Meter.at(gateway);
      await allAnchored(gateway);
      const { url: path, headers } = proxy.asked[0] as (typeof proxy.asked)[number];
      expect(path + Buffer.from(`${headers.authorization}`.slice('Basic '.length), 'base64').toString()).toContain(
        SECRET,
      );
      const told: string[] = [];
      const suffer = async (what: string, fate: ChainProxy['fate']): Promise<void> => {
        const seen = gateway.lines.length;
        proxy.fate = fate;
        await until(() => gateway.lines.length > seen, `a line when it ${what}`);
        told.push((await gateway.api('/health', { token: null })).text);
        proxy.fate = () => 'forward';
        await until(() => chainState(gateway).problem === undefined, 'all well');
      };
      for (const [what, fate] of failures) await suffer(what, () => fate);
      await meter.send();
      const refused: Fate = { error: `no credit left for ${SECRET}` };
      await suffer('refuses to send', ({ method }) => (/send/i.test(method) ? refused : 'forward'));
      for (const at of ['/metrics', '/anchors', '/openapi.json']) told.push((await gateway.api(at)).text);
      told.push(readFileSync(join(city.dataFolder, 'run.json'), 'utf8'), JSON.stringify(gateway.info));
      told.push(...gateway.lines, JSON.stringify(chainState(gateway)));
      expect(gateway.info.rpc, 'a URL without its key is of no use').toBeUndefined();

      await city.finish(gateway);
      // A start that fails, and the deploy command.
      for (const [, fate] of [...failures, ['says it is another chain', { result: '0x1' }] as const]) {
        proxy.fate = () => fate;
        const report = (text: string): void => void told.push(text);
        const deploying = deployContract(rpc, CHAIN_ID, privateKeyToAccount(`0x${'11'.repeat(32)}`), ORIGIN, report);
        told.push((await refusal(deploying)).line);
      }
      told.push((await refusal(city.gateway({ rpc }))).line);
      for (const text of told) expect(text).not.toContain(SECRET);
    });
});
