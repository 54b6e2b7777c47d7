import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EdgeError } from '../../edge/errors.ts';
import { CounterState } from '../../edge/store/counters.ts';
import { type DeviceStatus, Devices, type NewDevice, saveCounter } from '../../edge/store/devices.ts';
import { Store } from '../../edge/store/store.ts';
import { tempFolder } from '../support/temp.ts';

const code = (name: string) => expect.objectContaining({ code: name });
const unavailable = code('STORE_UNAVAILABLE');

async function openDevices(folder = tempFolder()): Promise<{ folder: string; store: Store; devices: Devices }> {
  const store = await Store.open(join(folder, 'edge.db'));
  onTestFinished(() => store.close());
  const devices = new Devices(store);
  devices.start();
  return { folder, store, devices };
}

async function reopen({ folder, store }: { folder: string; store: Store }): Promise<Devices> {
  await store.close();
  return (await openDevices(folder)).devices;
}

const device = (name: string): NewDevice => ({
  did: `did:key:${name}`,
  kind: 'meter',
  custody: 'device',
  sub: `urn:sejong:mp:${name}`,
});

/** From now on a write of this table fails in SQLite itself, until mended. */
async function breakTable(store: Store, table: string, event: 'INSERT' | 'UPDATE'): Promise<() => Promise<void>> {
  const run = (sql: string): Promise<void> => store.write({ statements: [{ sql, params: [] }] });
  await run(`CREATE TRIGGER broken BEFORE ${event} ON ${table} BEGIN SELECT raise(ABORT, 'broken'); END`);
  return () => run('DROP TRIGGER broken');
}

/** The next write is done, and then reported as failed. */
function loseNextAnswer(store: Store): void {
  const real = store.write.bind(store);
  store.write = async (job) => {
    store.write = real;
    await real(job);
    throw new EdgeError('STORE_UNAVAILABLE', 'the answer was lost');
  };
}

describe('devices', () => {
  it('are there after a restart as they were enrolled, each with its counter', async () => {
    const open = await openDevices();
    const { devices, store } = open;
    const a = await devices.enrol(device('a'), 1_000);
    const b = await devices.enrol(
      {
        ...device('b'),
        kind: 'plant',
        custody: 'gateway',
        owner: 'Kim',
        capacityW: 5_000,
        energySource: 'solar',
        label: '지붕',
        secretHash: new Uint8Array(32).fill(1),
      },
      2_000,
    );
    const counter = CounterState.fresh.take(3, 7, 11, 1_500)?.take(4, 2, 12, 1_600) as CounterState;
    await store.write({ statements: [saveCounter(b.id, counter)] });

    const again = await reopen(open);
    expect(again.count).toBe(2);
    expect(again.list().map(({ did }) => did)).toEqual([a.did, b.did]);
    expect(again.get(a.did)).toEqual(a);
    expect(again.byId(a.id)).toBe(again.get(a.did));
    expect(again.get(b.did)).toEqual({ ...b, secretHash: Buffer.from(b.secretHash as Uint8Array), counter });
    expect(again.get(b.did)?.counter.take(4, 1, 13, 1_700), 'its gap is still open').toBeDefined();
    expect(again.get('did:key:c')).toBeUndefined();
    expect(again.byId(99)).toBeUndefined();
  });

  it('are enrolled once, also when two ask at the same time', async () => {
    const open = await openDevices();
    const { devices } = open;
    const [first, second] = await Promise.allSettled([
      devices.enrol(device('a'), 1),
      devices.enrol({ ...device('a'), kind: 'plant' }, 2),
    ]);
    expect(first.status).toBe('fulfilled');
    expect((second as PromiseRejectedResult).reason).toEqual(code('DEVICE_EXISTS'));
    await expect(devices.enrol(device('a'), 3)).rejects.toEqual(code('DEVICE_EXISTS'));
    await devices.enrol(device('b'), 4);
    expect((await reopen(open)).list().map(({ did, kind }) => `${did} ${kind}`)).toEqual([
      'did:key:a meter',
      'did:key:b meter',
    ]);
  });

  it('are not there before they are on disk, and not at all when they could not be written', async () => {
    const open = await openDevices();
    const { devices, store } = open;
    const enrolled = devices.enrol(device('a'), 1);
    expect(devices.get('did:key:a')).toBeUndefined();
    await enrolled;
    const mend = await breakTable(store, 'devices', 'INSERT');
    await expect(devices.enrol(device('b'), 2)).rejects.toEqual(unavailable);
    expect(devices.get('did:key:b')).toBeUndefined();
    expect(devices.list().map(({ did }) => did)).toEqual(['did:key:a']);
    expect(devices.count).toBe(1);
    await mend();
    const b = await devices.enrol(device('b'), 3);
    expect(devices.byId(b.id)).toBe(b);
    expect(await reopen(open).then((d) => d.get('did:key:b'))).toEqual(b);
  });

  it('are there when the write failed and happened all the same', async () => {
    const open = await openDevices();
    const { devices, store } = open;
    loseNextAnswer(store);
    const a = await devices.enrol(device('a'), 1);
    expect(devices.get(a.did)).toBe(a);
    await expect(devices.enrol(device('a'), 2)).rejects.toEqual(code('DEVICE_EXISTS'));
    loseNextAnswer(store);
    await devices.setStatus(a.did, 'suspended', 3);
    expect(a.status).toBe('suspended');
    expect((await reopen(open)).get(a.did)?.status).toBe('suspended');
  });
});

describe("a device's status", () => {
  const ALL: readonly DeviceStatus[] = ['active', 'suspended', 'revoked', 'replaced'];
  const ALLOWED: Record<DeviceStatus, readonly DeviceStatus[]> = {
    active: ['suspended', 'revoked', 'replaced'],
    suspended: ['active', 'revoked', 'replaced'],
    revoked: [],
    replaced: [],
  };

  for (const from of ALL)
    it(`${from} may become ${ALLOWED[from].join(', ') || 'nothing else'}`, async () => {
      const open = await openDevices();
      const { devices } = open;
      const after = new Map<string, DeviceStatus>();
      for (const to of ALL) {
        const { did } = await devices.enrol(device(to), 1);
        if (from !== 'active') await devices.setStatus(did, from, 2);
        if (ALLOWED[from].includes(to)) {
          expect(await devices.setStatus(did, to, 3, 'did:key:next')).toMatchObject({
            status: to,
            replacedBy: 'did:key:next',
            updatedMs: 3,
          });
          after.set(did, to);
        } else {
          await expect(devices.setStatus(did, to, 3), to).rejects.toEqual(code('STATE_CONFLICT'));
          after.set(did, from);
        }
      }
      const again = await reopen(open);
      for (const [did, status] of after) expect(again.get(did)?.status).toBe(status);
    });

  it('of a device that is not enrolled cannot be set', async () => {
    const { devices } = await openDevices();
    await expect(devices.setStatus('did:key:a', 'suspended', 1)).rejects.toEqual(code('DEVICE_UNKNOWN'));
  });

  it('stays as it was when it could not be written', async () => {
    const open = await openDevices();
    const { devices, store } = open;
    const a = await devices.enrol(device('a'), 1);
    const mend = await breakTable(store, 'devices', 'UPDATE');
    await expect(devices.setStatus(a.did, 'revoked', 2)).rejects.toEqual(unavailable);
    expect(a).toMatchObject({ status: 'active', updatedMs: 1 });
    await mend();
    expect((await devices.setStatus(a.did, 'revoked', 3)).status).toBe('revoked');
    expect((await reopen(open)).get(a.did)?.status).toBe('revoked');
  });

  it('that is final stays final when two operators act at the same time', async () => {
    const open = await openDevices();
    const { devices } = open;
    const { did } = await devices.enrol(device('a'), 1);
    const [revoked, suspended] = await Promise.allSettled([
      devices.setStatus(did, 'revoked', 2),
      devices.setStatus(did, 'suspended', 3),
    ]);
    expect(revoked.status).toBe('fulfilled');
    expect((suspended as PromiseRejectedResult).reason).toEqual(code('STATE_CONFLICT'));
    expect(devices.get(did)?.status).toBe('revoked');
    expect((await reopen(open)).get(did)?.status).toBe('revoked');
  });
});
