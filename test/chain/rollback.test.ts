import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { TestDevice, TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors, wholeTruth } from '../support/whole-truth.ts';
import { allAnchored, City, EAGER, healthOf, line, linesOf, Meter, metric, rows } from './rig.ts';

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

  /** It accepts, and signs nothing; it says why, in one line and in /health. */
  async function isHeld(gateway: TestGateway, why: string): Promise<void> {
    await until(() => linesOf(gateway, new RegExp(why)).length === 1, why);
    const { latest } = gateway.parts.log;
    const meter = await Meter.at(gateway, device);
    await meter.send();
    const health = await healthOf(gateway);
    expect(health.status).toBe('degraded');
    for (const part of ['log', 'chain'])
      expect(health.parts[part]).toEqual({
        ok: false,
        detail: expect.stringMatching(new RegExp(`^LOG_BEHIND_CHAIN: .*${why}.*no checkpoint is signed`)),
      });
    expect(await metric(gateway, 'checkpoint_held')).toBe(1);
    expect(await metric(gateway, 'chain_reachable'), 'it is the log, not the chain').toBe(1);
    expect(gateway.parts.log.latest).toEqual(latest);
    await meter.client.endAsync();
  }

  const sentBy = () => city.chain.client.getTransactionCount({ address: city.account.address });

  it('is noticed: it signs no checkpoint, not even at the stop, sends nothing, keeps accepting, and says so', async () => {
    const sent = await sentBy();
    const gateway = await city.gateway({}, { dataFolder: old, log: EAGER });
    await isHeld(gateway, 'the chain holds 9 entries, the log has \\d+');
    expect(gateway.lines).toHaveLength(1);
    const { entries } = await gateway.finish();
    expect(entries).toBe(5);
    const again = await city.gateway({}, { dataFolder: old, log: EAGER });
    await isHeld(again, 'the chain holds 9 entries, the log has \\d+');
    await again.finish();
    expect(await sentBy()).toBe(sent);
    expect((await city.contract.head(again.info.origin)).size).toBe(9);
  });

  it('is still noticed when its log has grown, by other entries, to the size on the chain and beyond', async () => {
    const sent = await sentBy();
    const gateway = await city.gateway({}, { dataFolder: old, log: EAGER });
    await line(gateway, 'LOG_BEHIND_CHAIN');
    const signed = gateway.parts.log.latest?.size;
    const meter = await Meter.at(gateway, device);
    await meter.send(5);
    expect(gateway.parts.log.size).toBe(9);
    await meter.client.endAsync();
    await isHeld(gateway, 'at 9 entries the chain holds another root than the log has');
    expect(gateway.parts.log.size).toBe(10);
    await gateway.finish();

    const again = await city.gateway({}, { dataFolder: old, log: EAGER });
    await isHeld(again, 'at 9 entries the chain holds another root than the log has');
    expect(again.parts.log.latest?.size).toBe(signed);
    await again.finish();
    expect(await sentBy()).toBe(sent);
    // The other history is nowhere but in this folder.
    await expect(checkAnchors(old, city.contract)).rejects.toThrow('root on the chain at 9');
  });

  it('of the very size on the chain but with other entries is noticed at the start', async () => {
    const offline = await city.gateway({ mode: 'none' }, { dataFolder: old });
    await (await Meter.at(offline, device)).send(5);
    expect(offline.parts.log.size).toBe(9);
    await offline.finish();
    const gateway = await city.gateway({}, { dataFolder: old, log: EAGER });
    await isHeld(gateway, 'at 9 entries the chain holds another root than the log has');
    await gateway.finish();
  });

  it('does no harm once the newest copy is back: the log goes on where the chain has it', async () => {
    const held = await city.gateway({}, { dataFolder: old, log: EAGER });
    await isHeld(held, 'the chain holds 9 entries, the log has \\d+');
    await held.finish();
    const gateway = await city.gateway();
    expect(gateway.lines).toEqual([]);
    await (await Meter.at(gateway, device)).send(2);
    await allAnchored(gateway);
    expect(rows(gateway).at(-1)?.size).toBe(11);
    await city.finish(gateway);
    wholeTruth(old);
  });
});
