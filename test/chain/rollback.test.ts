import { createHash } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { asidesOf } from '../../edge/store/aside.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { ChainProxy, ORIGIN } from '../support/anvil.ts';
import type { TestDevice } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { checkAnchors, wholeTruth } from '../support/whole-truth.ts';
import { allAnchored, City, EAGER, healthOf, linesOf, Meter, metric, rows } from './rig.ts';

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A copy of a data folder that nothing has open: what an image of an SD card is. */
function imageOf(dataFolder: string): string {
  const image = join(tempFolder(), 'image');
  cpSync(dataFolder, image, { recursive: true });
  return image;
}

describe('an old copy of the data folder, put back', () => {
  let city: City;
  let device: TestDevice;
  /** At 4 entries, all anchored, while the chain knows of 9. */
  let old: string;

  beforeEach(async () => {
    city = await City.build();
    const first = await city.gateway();
    const meter = await Meter.at(first);
    device = meter.device;
    await meter.send(3);
    await first.finish();
    old = imageOf(city.dataFolder);
    const second = await city.gateway();
    await (await Meter.at(second, device)).send(5);
    await city.finish(second);
    expect((await city.contract.head(second.info.origin)).size).toBe(9);
  });

  const sentBy = () => city.chain.client.getTransactionCount({ address: city.account.address });
  const namesHead = async (): Promise<RegExp> => {
    const { size, root } = await city.contract.head(ORIGIN);
    return new RegExp(`^${ORIGIN}/2/${size}-${Buffer.from(root).toString('hex').slice(0, 16)}$`);
  };
  const behindFiles = (): string[] => asidesOf(join(old, 'edge.db')).filter((path) => path.includes('.behind-'));

  it('is noticed before intake begins: it is set aside, and the next epoch takes, signs and anchors', async () => {
    const gateway = await city.gateway({}, { dataFolder: old });
    const { log } = gateway.parts;
    expect(log.origin).toMatch(await namesHead());
    expect(gateway.info.origin, 'the audience of tokens stays').toBe(ORIGIN);
    const said = linesOf(gateway, 'the chain holds 9 entries, the log has 4').at(-1);
    expect(said).toMatch(/^LOG_BEHIND_CHAIN: .*set aside as .*edge\.db\.behind-.*put the newest copy .* back.*Epoch 2/);
    await (await Meter.at(gateway, device)).send(2);
    await allAnchored(gateway);
    const genesis = decodeEnvelope(gateway.parts.entries.get(0)?.envelope as Uint8Array).records;
    const { root } = await city.contract.head(ORIGIN);
    expect(genesis).toEqual([
      { n: 'origin', vs: log.origin },
      { n: 'log-key', vs: log.verifierKey },
      { n: 'previous-origin', vs: ORIGIN },
      { n: 'previous-size', v: 9 },
      { n: 'previous-root', vs: Buffer.from(root).toString('hex') },
      { n: 'reason', vs: 'rolled-back' },
    ]);
    const health = await healthOf(gateway);
    expect(health.status).toBe('degraded');
    expect(health.parts.epoch).toEqual({ ok: false, detail: expect.stringContaining('edge.db.behind-') });
    expect(health.parts.log?.ok && health.parts.chain?.ok, 'the new log is well').toBe(true);
    expect(await metric(gateway, 'log_epoch')).toBe(2);
    expect(await metric(gateway, 'databases_aside')).toBe(1);
    await gateway.finish();
    expect((await city.contract.head(log.origin)).size).toBe(3);
    expect((await city.contract.head(ORIGIN)).size, 'nothing more under the old origin').toBe(9);
    await checkAnchors(old, city.contract);

    const again = await city.gateway({}, { dataFolder: old });
    expect(again.parts.log.origin).toBe(log.origin);
    expect(again.lines, 'once is enough').toEqual([]);
    await (await Meter.at(again, device)).send();
    await allAnchored(again);
    expect((await again.finish()).entries).toBe(4);
  });

  it('is noticed later where the chain is away at first: it ends, and what it took is carried over', async () => {
    const sent = await sentBy();
    const proxy = await ChainProxy.start(city.chain);
    proxy.fate = () => 'drop';
    const gateway = await city.gateway({ rpc: proxy.rpc }, { dataFolder: old, log: EAGER });
    const meter = await Meter.at(gateway, device);
    const taken = [device.envelope(), device.envelope()];
    for (const envelope of taken) await device.publish(meter.client, envelope);
    await meter.client.endAsync();
    proxy.fate = () => 'forward';
    expect((await gateway.failed).code).toBe('LOG_BEHIND_CHAIN');
    expect(gateway.parts.log.latest?.size, 'it signed nothing').toBe(4);
    await gateway.finish();
    expect(await sentBy()).toBe(sent);

    // The chain's word is on disk: even without the chain the old origin is not signed again.
    const next = await city.gateway({ mode: 'none' }, { dataFolder: old });
    expect(next.parts.log.origin).toMatch(await namesHead());
    expect(linesOf(next, '2 accepted')).toHaveLength(1);
    const { byHash } = await next.finish();
    for (const envelope of taken) expect(byHash.has(sha256Hex(envelope))).toBe(true);
    expect(behindFiles()).toHaveLength(1);
  });

  it("is set aside once, whether or not the chain's word was on disk when the power went", async () => {
    for (const fault of ['verdict.before', 'verdict.after', 'epoch.moved']) await city.killedAt(fault, old);
    const gateway = await city.gateway({}, { dataFolder: old });
    expect(gateway.parts.log.origin).toMatch(await namesHead());
    expect(behindFiles()).toHaveLength(1);
    await (await Meter.at(gateway, device)).send();
    await allAnchored(gateway);
    await gateway.finish();
    await checkAnchors(old, city.contract);
  });

  it('of the very size on the chain but with other entries, signed while it was offline, is noticed: they come along', async () => {
    const offline = await city.gateway({ mode: 'none' }, { dataFolder: old });
    const meter = await Meter.at(offline, device);
    const taken = Array.from({ length: 5 }, () => device.envelope());
    for (const envelope of taken) await device.publish(meter.client, envelope);
    await offline.finish();
    const gateway = await city.gateway({}, { dataFolder: old });
    expect(linesOf(gateway, 'at 9 entries the chain holds another root than the log has')).not.toEqual([]);
    expect(gateway.parts.log.origin).toMatch(await namesHead());
    await gateway.parts.log.makeCheckpoint(Date.now());
    await allAnchored(gateway);
    const { byHash } = await gateway.finish();
    for (const envelope of taken) expect(byHash.has(sha256Hex(envelope))).toBe(true);
  });

  it('put back a second time does not go on where its first new epoch did', async () => {
    const image = imageOf(old);
    const first = await city.gateway({}, { dataFolder: old });
    await allAnchored(first);
    await first.finish();
    const second = await city.gateway({}, { dataFolder: image });
    const { size, root } = await city.contract.head(first.parts.log.origin);
    expect(second.parts.log.origin).toBe(`${ORIGIN}/3/${size}-${Buffer.from(root).toString('hex').slice(0, 16)}`);
    await allAnchored(second);
    await second.finish();
  });

  it('does no harm once the newest copy is back: the log goes on where the chain has it', async () => {
    const newest = join(tempFolder(), 'edge.db');
    cpSync(join(city.dataFolder, 'edge.db'), newest);
    const behind = await city.gateway({}, { dataFolder: old });
    await (await Meter.at(behind, device)).send();
    await behind.finish();
    wholeTruth(old);
    // The file alone, into the folder that is in its second epoch by now.
    cpSync(newest, join(old, 'edge.db'));
    const gateway = await city.gateway({}, { dataFolder: old });
    expect(gateway.lines).toEqual([]);
    expect(gateway.parts.log.origin).toBe(ORIGIN);
    await (await Meter.at(gateway, device)).send(2);
    await allAnchored(gateway);
    expect(rows(gateway).at(-1)?.size).toBe(11);
    await gateway.finish();
    await checkAnchors(old, city.contract);
    expect((await city.contract.head(ORIGIN)).size).toBe(11);
  });

  it('of the database alone is noticed without a chain: what was signed here is noted beside it', async () => {
    cpSync(join(old, 'edge.db'), join(city.dataFolder, 'edge.db'));
    const gateway = await city.gateway({ mode: 'none' });
    expect(gateway.parts.log.origin).toMatch(await namesHead());
    await (await Meter.at(gateway, device)).send();
    await gateway.finish();
  });
});
