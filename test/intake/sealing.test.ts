import { describe, expect, it } from 'vitest';
import { makeConfig } from '../../edge/config.ts';
import { declareLost } from '../../edge/intake/declare.ts';
import { Sealing } from '../../edge/intake/sealing.ts';
import { contentDigest } from '../../edge/log/sealed.ts';
import { sealing } from '../../edge/profile-parts.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { decodeHashEnvelope, isHashEnvelope } from '../../edge/wire/hash-envelope.ts';
import { tempFolder } from '../support/temp.ts';
import { Meter, Path } from './path.ts';

const speed = [{ n: 'Vehicle.Speed', u: 'km/h', v: 30 }];

describe('what is sealed', () => {
  it('is by the profile of the kind, unless the config names the kinds', () => {
    const profiles = loadProfiles();
    const sealedBy = (sealedKinds?: string[]): string[] => {
      const isSealed = sealing(makeConfig(sealedKinds ? { privacy: { sealedKinds } } : {}), profiles);
      return profiles.kinds().filter(isSealed);
    };
    expect(sealedBy()).toEqual(profiles.kinds().filter((kind) => profiles.isSealed(kind)));
    expect(sealedBy()).toEqual(expect.arrayContaining(['meter', 'vehicle']));
    for (const kind of profiles.kinds()) expect(sealedBy([kind])).toEqual([kind]);
    expect(() => sealedBy(['gateway'])).toThrow('privacy.sealedKinds.0 is gateway, which is no kind');
    // Of a kind that nobody describes any more nobody says that it may be in the open.
    expect(sealing(makeConfig(), profiles)('gone')).toBe(true);
  });

  it('stands in the log as a hash envelope of the gateway, over a salt and what the device signed', async () => {
    const path = await Path.open(tempFolder());
    const [car, plant] = [new Meter('car', 'vehicle'), new Meter('plant', 'plant')];
    for (const device of [car, plant]) await path.enrol(device);
    const said = car.envelope({ records: speed });
    await path.offer(car, said);
    const open = plant.envelope({ records: [{ n: '1-0:2.8.0', u: 'Wh', v: 5 }] });
    await path.offer(plant, open);
    const [one, two] = path.entries.page(1, 10);
    expect([Buffer.from(one?.envelope ?? []), one?.salt?.length]).toEqual([Buffer.from(said), 32]);
    expect([Buffer.from(two?.envelope ?? []), two?.salt]).toEqual([Buffer.from(open), null]);
    expect(Buffer.from(two?.entry ?? [])).toEqual(Buffer.from(open));
    const { digest } = decodeHashEnvelope(new Uint8Array(one?.entry ?? []));
    const { salt, envelope } = one as { salt: Uint8Array; envelope: Uint8Array };
    expect(Buffer.from(digest)).toEqual(Buffer.from(contentDigest({ salt, envelope })));
    const truth = await path.finish();
    expect([truth.sealed, truth.entries]).toEqual([1, 3]);
  });

  it('is decided on what the device signed: resent, changed, replayed', async () => {
    const path = await Path.open(tempFolder());
    const car = new Meter('car', 'vehicle');
    await path.enrol(car);
    const first = car.envelope({ records: speed });
    const again = car.envelope({ seq: 0, records: [{ n: 'Vehicle.Speed', u: 'km/h', v: 31 }] });
    // In one group, and after it.
    expect(await Promise.all([path.offer(car, first), path.offer(car, first), path.offer(car, again)])).toMatchObject([
      { kind: 'accepted', index: 1 },
      { kind: 'known', index: 1 },
      { kind: 'quarantined', code: 'EQUIVOCATION' },
    ]);
    expect(await path.offer(car, first)).toEqual({ kind: 'known', index: 1 });
    expect(await path.offer(car, again)).toMatchObject({ kind: 'quarantined', code: 'EQUIVOCATION' });
    car.seq = 9;
    await path.offer(car, car.envelope({ records: speed }));
    const restarted = await path.reopen();
    expect(await restarted.offer(car, first)).toEqual({ kind: 'known', index: 1 });
    expect(await restarted.offer(car, car.envelope({ epoch: 0, seq: 5, records: speed }))).toMatchObject({
      code: 'REPLAY',
    });
    expect((await restarted.finish()).sealed).toBe(2);
  });

  it('is also what the gateway itself says of a sealed device, or of one that it does not know', async () => {
    const path = await Path.open(tempFolder());
    const [car, plant] = [new Meter('car', 'vehicle'), new Meter('plant', 'plant')];
    const [carRow, plantRow] = [await path.enrol(car), await path.enrol(plant)];
    const billed = [{ n: '1-0:2.8.0', u: 'Wh', v: 5 }];
    for (const seq of [0, 5]) await path.offer(car, car.envelope({ seq, records: speed }));
    for (const seq of [0, 5]) await path.offer(plant, plant.envelope({ seq, records: billed }));
    const sealed = await declareLost(path.accept, carRow, { epoch: 1, first: 1, last: 4 });
    const open = await declareLost(path.accept, plantRow, { epoch: 1, first: 1, last: 4 });
    const unknown = await path.accept.say([{ n: 'heard', vs: `of ${new Meter('stranger').did}` }]);
    const named = await path.accept.say([{ n: 'enrolled', vs: `{"sub":"${car.sub}"}` }]);
    const said = await path.accept.say([{ n: 'enrolled', vs: plant.sub }]);
    const indexOf = (outcome: object): number => (outcome as { index: number }).index;
    const at = (index: number) => path.entries.get(index) as { entry: Uint8Array; envelope: Uint8Array };
    expect(isHashEnvelope(new Uint8Array(at(sealed).entry))).toBe(true);
    expect(decodeEnvelope(new Uint8Array(at(sealed).envelope)).records[0]).toEqual({ n: 'gap', vs: car.did });
    expect(decodeEnvelope(new Uint8Array(at(open).entry)).records[0]).toEqual({ n: 'gap', vs: plant.did });
    expect(isHashEnvelope(new Uint8Array(at(indexOf(unknown)).entry))).toBe(true);
    expect(isHashEnvelope(new Uint8Array(at(indexOf(named)).entry))).toBe(true);
    expect(isHashEnvelope(new Uint8Array(at(indexOf(said)).entry))).toBe(false);
    // And each under the key of whom it speaks about, so that it is forgotten with it.
    const about = (index: number) =>
      path.store.get('SELECT about FROM contents JOIN content_keys ON content_keys.id = key WHERE idx = ?', index);
    for (const index of [sealed, indexOf(named)]) expect(about(index)).toEqual({ about: carRow.id });
    const { gaps } = await path.finish();
    expect(gaps.map(({ did }) => did)).toEqual([car.did, plant.did]);
  });

  it('stays as it was when the config says otherwise, and what comes next is as it says now', async () => {
    const path = await Path.open(tempFolder());
    const meter = new Meter('one');
    await path.enrol(meter);
    const envelopes = Array.from({ length: 4 }, () => meter.envelope());
    await path.offer(meter, envelopes[0]);
    const kinds: string[] = [];
    const { did, privateKey } = new Meter('gateway');
    const open = await path.reopen({
      sealing: new Sealing({ did, privateKey, isSealed: (kind) => kinds.includes(kind), devices: path.devices }),
    });
    await open.offer(meter, envelopes[1]);
    expect(await open.offer(meter, envelopes[0])).toEqual({ kind: 'known', index: 1 });
    const shut = await open.reopen();
    await shut.offer(meter, envelopes[2]);
    for (const [i, kind] of (['held', 'public', 'held'] as const).entries()) {
      expect(await shut.offer(meter, envelopes[i])).toEqual({ kind: 'known', index: i + 1 });
      expect(shut.entries.get(i + 1)?.salt === null).toBe(kind === 'public');
    }
    expect((await shut.finish()).sealed).toBe(2);
  });

  it('has another salt each time, so that equal readings cannot be told', async () => {
    const path = await Path.open(tempFolder());
    const meter = new Meter('one');
    await path.enrol(meter);
    await Promise.all(Array.from({ length: 300 }, () => path.offer(meter)));
    const rows = path.entries.page(1, 1000);
    expect(rows).toHaveLength(300);
    expect(new Set(rows.map(({ salt }) => Buffer.from(salt as Uint8Array).toString('hex'))).size).toBe(300);
    expect(new Set(rows.map(({ entry }) => entry.length)).size, 'one length').toBe(1);
    await path.finish({ verifyOneIn: 50 });
  });
});
