import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CounterState } from '../../edge/store/counters.ts';
import type { Device } from '../../edge/store/devices.ts';
import { newer, Registry } from '../../edge/store/registry.ts';
import { tempFolder } from '../support/temp.ts';

const device = (id: number, over: Partial<Device> = {}): Device => ({
  id,
  did: `did:key:z${id}`,
  kind: 'meter',
  custody: 'gateway',
  sub: `urn:sejong:mp:${id}`,
  owner: null,
  capacityW: 3000,
  energySource: null,
  registerModulusWh: null,
  label: 'Zähler\n1',
  status: 'active',
  replacedBy: null,
  secretHash: new Uint8Array(32).fill(id),
  enrolledMs: 1000,
  updatedMs: 1000,
  counter: CounterState.fresh,
  ...over,
});
const registered = ({ counter: _, ...rest }: Device) => rest;
const never = (problem: unknown): void => expect.fail(String(problem));

describe('the copy of the registry', () => {
  it('has each device as it was last, for its owner only, and survives a torn line', async () => {
    const path = join(tempFolder(), 'registry.jsonl');
    const registry = new Registry(path, never);
    expect(registry.read().size).toBe(0);
    registry.keep(device(1));
    registry.keep(device(2));
    registry.keep(device(1, { status: 'suspended', updatedMs: 2000 }));
    await registry.idle();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    appendFileSync(path, '\n{"did":"did:key:z2","status":"rev'); // a power cut
    registry.keep(device(3));
    await registry.idle();
    const found = new Registry(path, never).read();
    expect([...found.values()]).toEqual(
      [device(1, { status: 'suspended', updatedMs: 2000 }), device(2), device(3)].map(registered),
    );
  });

  it('catches up with the database, and forgets nothing that an older one has not', async () => {
    const path = join(tempFolder(), 'registry.jsonl');
    const registry = new Registry(path, never);
    registry.catchUp([device(1), device(2)]);
    registry.keep(device(2, { status: 'revoked', updatedMs: 3000 }));
    registry.keep(device(3));
    await registry.idle();
    registry.catchUp([device(1), device(2)]); // an old copy of the database
    const statuses = () => [...new Registry(path, never).read().values()].map(({ did, status }) => [did, status]);
    const expected = [
      ['did:key:z1', 'active'],
      ['did:key:z2', 'revoked'],
      ['did:key:z3', 'active'],
    ];
    expect(statuses()).toEqual(expected);
    const { ino } = statSync(path);
    registry.catchUp([device(1), device(2)]);
    expect(statSync(path).ino, 'nothing to write').toBe(ino);
  });

  it('does not grow with each change for ever', async () => {
    const path = join(tempFolder(), 'registry.jsonl');
    const registry = new Registry(path, never);
    for (let i = 0; i < 200; i++) registry.keep(device(1, { updatedMs: 1000 + i }));
    await registry.idle();
    registry.catchUp([device(1, { updatedMs: 1199 })]);
    expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(1);
  });

  it('believes what is final, whatever the clock said, and else what is later', () => {
    const active = registered(device(1, { updatedMs: 5000 }));
    const revoked = registered(device(1, { status: 'revoked', updatedMs: 10 }));
    const suspended = registered(device(1, { status: 'suspended', updatedMs: 6000 }));
    expect(newer(active, revoked)).toBe(revoked);
    expect(newer(revoked, active)).toBe(revoked);
    expect(newer(active, suspended)).toBe(suspended);
    expect(newer(suspended, active)).toBe(suspended);
  });
});
