import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { commitment } from '../../edge/chain/commitment.ts';
import { ChainProxy, TestChain } from '../support/anvil.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkRegistry } from '../support/whole-truth.ts';
import { CityRegistry, follows, registryOf } from './city-registry.ts';
import { FAST, healthOf, line, linesOf, metric } from './rig.ts';

/** A chain with a registry of the city, and a gateway that follows it; the anchors go there as well. */
class Rig {
  readonly chain: TestChain;
  readonly registry: CityRegistry;
  readonly proxy: ChainProxy;
  readonly dataFolder = tempFolder();
  readonly anchors: string;

  private constructor(chain: TestChain, registry: CityRegistry, proxy: ChainProxy, anchors: string) {
    this.chain = chain;
    this.registry = registry;
    this.proxy = proxy;
    this.anchors = anchors;
  }

  static async build(): Promise<Rig> {
    const chain = await TestChain.start();
    const registry = await CityRegistry.deploy(chain);
    const { address } = await chain.deploy();
    return new Rig(chain, registry, await ChainProxy.start(chain), address);
  }

  gateway(over = {}, devices = { acceptBacklogAfterRevocation: true, backlogMaxAgeSeconds: 315_360_000 }) {
    const { registry, anchors, proxy, dataFolder } = this;
    return startTestGateway({
      dataFolder,
      clock: { source: 'synced' },
      devices,
      chain: {
        mode: 'rpc',
        rpc: proxy.rpc,
        anchors,
        devices: registry.contract,
        devicesFile: registry.file,
        ...FAST,
        ...over,
      },
    });
  }

  /** Each test ends here: the whole truth, and the table is what the chain says. */
  async finish(gateway: TestGateway): Promise<ReturnType<TestGateway['finish']>> {
    const truth = await gateway.finish();
    await checkRegistry(this.dataFolder, this.registry.contract, this.chain.client);
    return truth;
  }
}

type Held = { quarantine: { code: string; detail: string }[] };
const lastHeld = async (gateway: TestGateway) => ((await gateway.api('/quarantine')).body as Held).quarantine[0];

describe("the city's registry", () => {
  it('is followed: what it says of a device is shown, and a device that it does not know speaks', async () => {
    const rig = await Rig.build();
    const gateway = await rig.gateway();
    const [meter, plant, stranger] = [new TestDevice('1'), new TestDevice('2', 'plant'), new TestDevice('3')];
    for (const device of [meter, plant, stranger]) await device.enrol(gateway);
    expect(await registryOf(gateway, meter)).toMatchObject({ status: 'unregistered', validFrom: null, block: 3 });
    await rig.registry.register(meter, { validFrom: 5, validUntil: 4_000_000_000 });
    // A public kind is known by its DID alone.
    await rig.registry.register(plant, { salt: null, energySource: 'solar', capacityW: 5000 });
    await follows(gateway, meter, 'active');
    await follows(gateway, plant, 'active');
    expect(await registryOf(gateway, meter)).toEqual({
      status: 'active',
      validFrom: 5,
      validUntil: 4_000_000_000,
      ageSeconds: expect.any(Number),
      block: expect.any(Number),
    });
    expect(await registryOf(gateway, plant)).toMatchObject({ validFrom: 0, validUntil: null });
    await rig.registry.suspend(plant);
    await follows(gateway, plant, 'suspended');
    await rig.registry.resume(plant);
    await follows(gateway, plant, 'active');
    for (const device of [meter, stranger]) {
      const client = await device.connect(gateway);
      await device.publish(client, device.envelope());
    }
    expect((await healthOf(gateway)).parts.registry).toMatchObject({ ok: true });
    expect(await metric(gateway, 'registry_devices')).toBe(2);
    expect(await metric(gateway, 'registry_reachable')).toBe(1);
    // The gateway's own device is nobody's business there.
    expect(await registryOf(gateway, gateway.info)).toBeUndefined();
    expect(await rig.finish(gateway)).toMatchObject({ entries: 3, late: 0 });
  });

  it('that revokes a device ends it, but for backlog that was expected, also while the chain is away and after a restart', async () => {
    const rig = await Rig.build();
    let gateway = await rig.gateway();
    const meter = await new TestDevice('1').enrol(gateway);
    await rig.registry.register(meter);
    await follows(gateway, meter, 'active');
    let client = await meter.connect(gateway);
    await meter.publish(client, meter.envelope({ seq: 0 }));
    await meter.publish(client, meter.envelope({ seq: 5 }));
    await rig.registry.revoke(meter);
    await follows(gateway, meter, 'revoked');

    await meter.publish(client, meter.envelope({ seq: 6 }));
    expect(await lastHeld(gateway)).toMatchObject({
      code: 'DEVICE_INACTIVE',
      detail: expect.stringMatching(/ is revoked in the registry \(block \d+, 20.*Z\); cti 1\/6 fills no gap/),
    });
    await meter.publish(client, meter.envelope({ seq: 2 }));
    expect(gateway.parts.log.size).toBe(4);
    const late = { status: 'revoked', by: 'registry', sinceMs: expect.any(Number), block: expect.any(Number) };
    expect((await gateway.api('/entries/3')).body).toMatchObject({ seq: 2, late });
    expect((await gateway.api('/entries/2')).body).not.toHaveProperty('late');
    expect((await gateway.api('/entries?after=2')).body).toMatchObject({ entries: [{ late }] });

    await rig.chain.stop();
    await line(gateway, 'registry: CHAIN_AWAY');
    expect((await healthOf(gateway)).parts.registry).toMatchObject({ ok: false });
    await meter.publish(client, meter.envelope({ seq: 7 }));
    expect((await lastHeld(gateway))?.detail).toContain('cti 1/7 fills no gap');
    await gateway.finish();

    // The table outlives the gateway, and says how old it is.
    gateway = await rig.gateway();
    const view = await registryOf(gateway, meter);
    expect(view).toMatchObject({ status: 'revoked', ageSeconds: expect.any(Number) });
    client = await meter.connect(gateway);
    await meter.publish(client, meter.envelope({ seq: 3 }));
    await meter.publish(client, meter.envelope({ seq: 8 }));
    expect((await lastHeld(gateway))?.detail).toContain('cti 1/8 fills no gap');
    expect(await metric(gateway, 'registry_reachable')).toBe(0);
    await rig.chain.start();
    await until(async () => (await metric(gateway, 'registry_reachable')) === 1, 'the chain is back');
    expect(linesOf(gateway, 'registry: CHAIN_AWAY')).toHaveLength(1);
    const truth = await rig.finish(gateway);
    expect(truth).toMatchObject({ entries: 5, late: 2 });
    expect(truth.quarantined).toEqual(new Map([['DEVICE_INACTIVE', 3]]));
  });

  it('that revokes a device ends it for good where the policy takes no backlog, its login as well', async () => {
    const rig = await Rig.build();
    const gateway = await rig.gateway({}, { acceptBacklogAfterRevocation: false, backlogMaxAgeSeconds: 315_360_000 });
    const meter = await new TestDevice('1').enrol(gateway);
    await rig.registry.register(meter);
    await rig.registry.revoke(meter);
    await follows(gateway, meter, 'revoked');
    await expect(meter.connect(gateway)).rejects.toThrow('Not authorized');
    expect(await rig.finish(gateway)).toMatchObject({ entries: 1 });
  });

  it('that knows a device for another metering point, or outside its period, does not let it speak', async () => {
    const rig = await Rig.build();
    const gateway = await rig.gateway({}, { acceptBacklogAfterRevocation: false, backlogMaxAgeSeconds: 1 });
    const [moved, old] = [new TestDevice('1'), new TestDevice('2')];
    await rig.registry.register(moved, { meteringPoint: commitment('urn:sejong:mp:9') });
    await rig.registry.register(old, { validUntil: 1_780_000_000 });
    for (const [device, why] of [
      [moved, 'is of another metering point in the registry'],
      [old, 'is expired in the registry'],
    ] as const) {
      await device.enrol(gateway);
      await follows(gateway, device, 'active');
      await expect(device.connect(gateway), why).rejects.toThrow('Not authorized');
    }
    await rig.finish(gateway);
  });
});

describe('a reorg', () => {
  it('takes back what the table had of it, in one step, and what both branches have stays', async () => {
    const rig = await Rig.build();
    const gateway = await rig.gateway();
    const [a, b] = [await new TestDevice('1').enrol(gateway), await new TestDevice('2').enrol(gateway)];
    await rig.registry.register(a);
    await rig.registry.register(b);
    await follows(gateway, b, 'active');
    const fork = await rig.chain.call<string>('evm_snapshot');
    await rig.registry.revoke(a);
    await rig.registry.revoke(b);
    await follows(gateway, b, 'revoked');
    // On the other branch b is revoked all the same, and a is not. At no moment may b speak.
    let spoke = false;
    const watch = setInterval(() => {
      const device = gateway.parts.devices.get(b.did);
      if (device && gateway.parts.registry.registered(device)?.status === 'active') spoke = true;
    }, 1);
    rig.proxy.fate = () => 'drop'; // the gateway sees the new branch whole
    await rig.chain.call('evm_revert', fork);
    await rig.registry.revoke(b);
    await rig.chain.call('anvil_mine', '0x3');
    rig.proxy.fate = () => 'forward';
    await follows(gateway, a, 'active');
    expect(await registryOf(gateway, b)).toMatchObject({ status: 'revoked' });
    clearInterval(watch);
    expect(spoke).toBe(false);
    expect(await metric(gateway, 'registry_rewinds_total')).toBe(1);
    await line(gateway, 'registry: the chain took blocks back');
    const client = await a.connect(gateway);
    await a.publish(client, a.envelope());
    expect(await rig.finish(gateway)).toMatchObject({ entries: 2 });
  });

  it('deeper than all that is remembered, or while the gateway was away, is met by reading the whole anew', async () => {
    const rig = await Rig.build();
    let gateway = await rig.gateway();
    const meter = await new TestDevice('1').enrol(gateway);
    await rig.registry.register(meter);
    await follows(gateway, meter, 'active');
    await gateway.finish();
    const fork = await rig.chain.call<string>('evm_snapshot');
    await rig.registry.revoke(meter);
    gateway = await rig.gateway();
    await follows(gateway, meter, 'revoked');
    await gateway.finish();
    await rig.chain.call('evm_revert', fork);
    // As if each block that is remembered were of the other branch.
    const db = new Database(join(rig.dataFolder, 'edge.db'));
    expect(db.prepare('UPDATE registry_blocks SET hash = zeroblob(32)').run().changes).toBeGreaterThan(0);
    db.close();
    gateway = await rig.gateway();
    await follows(gateway, meter, 'active');
    expect(linesOf(gateway, 'the whole was read anew')).toHaveLength(1);
    await rig.finish(gateway);
  });
});

describe('a chain that is wrong or refuses', () => {
  it('without a contract at the address ends the start, in one line', async () => {
    const rig = await Rig.build();
    const devices = '0x00000000000000000000000000000000000a4c05';
    await expect(rig.gateway({ devices })).rejects.toMatchObject({
      code: 'CHAIN_WRONG',
      detail: `there is no Devices contract at ${devices} on chain 31337`,
    });
    await rig.finish(await rig.gateway());
  });

  it('that answers nonsense leaves the table as it was', async () => {
    const rig = await Rig.build();
    const gateway = await rig.gateway();
    const meter = await new TestDevice('1').enrol(gateway);
    await rig.registry.register(meter);
    await follows(gateway, meter, 'active');
    const log = {
      address: rig.registry.contract,
      blockNumber: '0x1',
      logIndex: '0x0',
      topics: [`0x${'11'.repeat(32)}`],
      data: '0x',
    };
    for (const result of ['nothing', [null], [{ ...log, address: `0x${'00'.repeat(20)}` }], [log]]) {
      rig.proxy.fate = ({ method }) => (method === 'eth_getLogs' ? { result } : 'forward');
      await rig.chain.call('anvil_mine', '0x1');
      await until(async () => (await metric(gateway, 'registry_reachable')) === 0, `it said ${JSON.stringify(result)}`);
      expect(await registryOf(gateway, meter)).toMatchObject({ status: 'active' });
      rig.proxy.fate = () => 'forward';
      await until(async () => (await metric(gateway, 'registry_reachable')) === 1, 'all is well again');
    }
    await rig.finish(gateway);
  });

  it('that gives few blocks at once is asked for fewer, until all are read', async () => {
    const rig = await Rig.build();
    const meter = new TestDevice('1');
    await rig.registry.register(meter);
    await rig.chain.call('anvil_mine', '0x40');
    rig.proxy.fate = ({ method, params }) => {
      if (method !== 'eth_getLogs') return 'forward';
      const { fromBlock, toBlock } = params[0] as { fromBlock: string; toBlock: string };
      return Number(toBlock) - Number(fromBlock) < 7 ? 'forward' : { error: 'query exceeds max block range' };
    };
    const gateway = await rig.gateway();
    await meter.enrol(gateway);
    await follows(gateway, meter, 'active');
    await until(async () => ((await registryOf(gateway, meter))?.block ?? 0) >= 0x40, 'all blocks are read');
    await rig.finish(gateway);
  });

  it('with more events than the cap allows leaves the table as it is, and says so', async () => {
    const rig = await Rig.build();
    const gateway = await rig.gateway({ maxRegistryEvents: 1 });
    const meter = await new TestDevice('1').enrol(gateway);
    await rig.registry.register(meter);
    await follows(gateway, meter, 'active');
    await rig.registry.suspend(meter);
    await line(gateway, 'registry: REGISTRY_FULL');
    expect(await registryOf(gateway, meter)).toMatchObject({ status: 'active' });
    expect((await gateway.api('/metrics')).text).toMatch(/chain\.maxRegistryEvents"\} [1-9]/);
    await gateway.finish();
  });

  it('with a registry file that others can read, or that is broken, ends the start; later on the old one holds', async () => {
    const rig = await Rig.build();
    const gateway = await rig.gateway();
    const meter = await new TestDevice('1').enrol(gateway);
    await rig.registry.register(meter);
    await follows(gateway, meter, 'active');
    writeFileSync(rig.registry.file, '{"did": 5}');
    await line(gateway, 'REGISTRY_FILE_INVALID');
    expect(await registryOf(gateway, meter)).toMatchObject({ status: 'active' });
    await gateway.finish();
    await expect(rig.gateway()).rejects.toMatchObject({ code: 'REGISTRY_FILE_INVALID' });
    chmodSync(rig.registry.file, 0o644);
    await expect(rig.gateway()).rejects.toMatchObject({ code: 'KEY_UNREADABLE' });
  });
});
