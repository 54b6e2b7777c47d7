import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../edge/errors.ts';
import type { Outcome } from '../../edge/intake/accept.ts';
import type { Device } from '../../edge/store/devices.ts';
import { Marks, saveMark } from '../../edge/store/marks.ts';
import { encodeCbor } from '../../edge/wire/cbor.ts';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { verifyEd25519 } from '../../edge/wire/ed25519.ts';
import { decodeEnvelope, type Envelope } from '../../edge/wire/envelope.ts';
import { tempFolder } from '../support/temp.ts';
import { Meter, Path } from './path.ts';

const code = (name: ErrorCode) => expect.objectContaining({ code: name });
const quarantined = (name: ErrorCode) => expect.objectContaining({ kind: 'quarantined', code: name });

const json = (wh: number): Uint8Array => Buffer.from(`[{"bn":"1-0:","n":"1.8.0","u":"Wh","v":${wh}}]`);
const cbor = (wh: number): Uint8Array =>
  encodeCbor([
    new Map<number, string | number>([
      [-2, '1-0:'],
      [0, '1.8.0'],
      [1, 'Wh'],
      [2, wh],
    ]),
  ]);

/** A path with one device that cannot sign, and one that can. */
async function openWith(): Promise<{ path: Path; legacy: Meter; signing: Meter }> {
  const path = await Path.open(tempFolder());
  const legacy = new Meter('legacy');
  const signing = new Meter('signing');
  await path.enrol(legacy, 'gateway');
  await path.enrol(signing);
  return { path, legacy, signing };
}

const send = (path: Path, { did }: Meter, bytes: Uint8Array, resent = false): Promise<Outcome> =>
  path.custodian.offerSenml(did, `up/${did}/senml`, bytes, resent);
const readingAt = (path: Path, index: number): Envelope =>
  decodeEnvelope(new Uint8Array(path.entries.get(index)?.envelope as Uint8Array));

describe('a device whose key the gateway holds', () => {
  it('is signed for, with its own key, whether it speaks SenML in JSON or in CBOR', async () => {
    const { path, legacy } = await openWith();
    expect(await send(path, legacy, json(100))).toEqual({ kind: 'accepted', index: 1 });
    expect(await send(path, legacy, cbor(200))).toEqual({ kind: 'accepted', index: 2 });
    for (const [index, wh] of [
      [1, 100],
      [2, 200],
    ] as const) {
      const e = readingAt(path, index);
      expect(e).toMatchObject({ iss: legacy.did, sub: legacy.sub, epoch: path.store.boot, seq: index - 1 });
      expect(e.records).toEqual([{ n: '1-0:1.8.0', u: 'Wh', v: wh }]);
      expect(verifyEd25519(e.signature, e.signed, publicKeyFromDid(legacy.did).bytes)).toBe(true);
    }
    await path.finish();
  });

  it('keeps its order when it sends much at once, and counts on after a restart in a new epoch', async () => {
    const { path, legacy } = await openWith();
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => send(path, legacy, json(i))));
    expect(outcomes.map((o) => o.kind === 'accepted' && o.index)).toEqual(Array.from({ length: 50 }, (_, i) => 1 + i));
    for (let i = 0; i < 50; i++) expect(readingAt(path, 1 + i).records[0]?.v).toBe(i);
    const { boot } = path.store;
    const again = await path.reopen();
    expect(await send(again, legacy, json(50))).toEqual({ kind: 'accepted', index: 51 });
    expect(readingAt(again, 51)).toMatchObject({ epoch: boot + 1, seq: 0 });
    expect(again.devices.get(legacy.did)?.counter.gaps).toEqual([]);
    await again.finish({ verifyOneIn: 10 });
  });

  it('gets the same index for what it resends (DUP) because its PUBACK was lost, also after a restart', async () => {
    const { path, legacy } = await openWith();
    await send(path, legacy, json(1));
    expect(await send(path, legacy, json(2))).toEqual({ kind: 'accepted', index: 2 });
    expect(await send(path, legacy, json(2), true)).toEqual({ kind: 'known', index: 2 });
    expect(await send(path, legacy, cbor(2), true), 'the same content, spelt otherwise').toEqual({
      kind: 'known',
      index: 2,
    });
    const again = await path.reopen();
    expect(await send(again, legacy, json(2), true)).toEqual({ kind: 'known', index: 2 });
    // What was lost before it was ever taken is resent too, and is new.
    expect(await send(again, legacy, json(3), true)).toEqual({ kind: 'accepted', index: 3 });
    expect((await again.finish()).entries).toBe(4);
  });

  it('that says the same again without DUP says it twice: a register may stand still', async () => {
    const { path, legacy } = await openWith();
    expect(await send(path, legacy, json(7))).toEqual({ kind: 'accepted', index: 1 });
    expect(await send(path, legacy, json(7))).toEqual({ kind: 'accepted', index: 2 });
    await path.finish();
  });

  it("is not answered with another device's entry when it resends", async () => {
    const { path, legacy } = await openWith();
    const second = new Meter('second');
    await path.enrol(second, 'gateway');
    await send(path, second, json(5));
    expect(await send(path, legacy, json(5), true)).toEqual({ kind: 'accepted', index: 2 });
    await path.finish();
  });
});

describe('what cannot be signed for', () => {
  it.each([
    ['SENML_INVALID', 'no SenML at all', Buffer.from('12.5 kWh')],
    ['SENML_INVALID', 'a pack that says one thing twice', Buffer.from('[{"n":"a","v":1},{"n":"a","v":2}]')],
    ['SENML_INVALID', 'nothing', new Uint8Array(0)],
    ['PROFILE_MISMATCH', 'a meter that bills kWh', Buffer.from('[{"n":"1-0:1.8.0","u":"kWh","v":1}]')],
    ['PROFILE_MISMATCH', 'a meter that bills nothing', Buffer.from('[{"n":"temperature","u":"Cel","v":21.5}]')],
    [
      'ENVELOPE_TOO_LARGE',
      'a pack that does not fit an envelope',
      Buffer.from(`[{"n":"1-0:1.8.0","u":"Wh","v":1},{"n":"a","vs":"${'x'.repeat(65_500)}"}]`),
    ],
  ] as const)('%s: %s is kept as it was sent, and uses up no counter', async (name, _, bytes) => {
    const { path, legacy } = await openWith();
    await send(path, legacy, json(1));
    for (let i = 0; i < 3; i++) expect(await send(path, legacy, bytes)).toEqual(quarantined(name));
    expect(path.held()).toHaveLength(1);
    expect(path.held()[0]).toMatchObject({ did: legacy.did, topic: `up/${legacy.did}/senml`, times: 3 });
    expect(Buffer.from(path.held()[0]?.bytes as Uint8Array).equals(bytes)).toBe(true);
    await send(path, legacy, json(2));
    expect(path.devices.get(legacy.did)?.counter).toMatchObject({ seq: 1, gaps: [] });
    await path.finish();
  });

  it('a device that is suspended is not signed for', async () => {
    const { path, legacy } = await openWith();
    await path.devices.setStatus(legacy.did, 'suspended', 1);
    expect(await send(path, legacy, json(1))).toEqual(quarantined('DEVICE_INACTIVE'));
    expect(Buffer.from(path.held()[0]?.bytes as Uint8Array).equals(json(1))).toBe(true);
    await path.finish();
  });

  it('each door is for its own custody: the other one ends in quarantine', async () => {
    const { path, legacy, signing } = await openWith();
    const envelope = legacy.envelope();
    expect(await send(path, signing, json(1))).toEqual(quarantined('CUSTODY_MISMATCH'));
    expect(await path.custodian.offerEnvelope(legacy.did, legacy.topic, envelope)).toEqual(
      quarantined('CUSTODY_MISMATCH'),
    );
    expect(path.held().map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(
      [json(1), envelope].map((bytes) => Buffer.from(bytes).toString('hex')),
    );
    expect(await path.custodian.offerEnvelope(signing.did, signing.topic, signing.envelope())).toEqual({
      kind: 'accepted',
      index: 1,
    });
    await path.finish();
  });

  it('a device that nobody enrolled ends in quarantine', async () => {
    const { path } = await openWith();
    const stranger = new Meter('stranger');
    expect(await send(path, stranger, json(1))).toEqual(quarantined('DEVICE_UNKNOWN'));
    await path.finish();
  });

  it('a key that cannot be read is the fault of the gateway: nothing is acknowledged, nothing is in quarantine', async () => {
    const { path, legacy } = await openWith();
    path.heldKeys.delete(legacy.did);
    await expect(send(path, legacy, json(1))).rejects.toThrow('no key of');
    expect(path.held()).toEqual([]);
    await path.finish();
  });

  it('a disk that does not take it is told, and the device that resends (DUP) is accepted once', async () => {
    const { path, legacy } = await openWith();
    await send(path, legacy, json(1));
    const mend = await path.breakTable('entries');
    await expect(send(path, legacy, json(2))).rejects.toEqual(code('STORE_UNAVAILABLE'));
    await expect(send(path, legacy, json(2), true)).rejects.toEqual(code('STORE_UNAVAILABLE'));
    await mend();
    expect(await send(path, legacy, json(2), true)).toEqual({ kind: 'accepted', index: 2 });
    expect(await send(path, legacy, json(2), true)).toEqual({ kind: 'known', index: 2 });
    expect((await path.finish()).entries).toBe(3);
  });

  it('has what belongs to a reading on disk with it, be it an entry or in quarantine, and not without it', async () => {
    const { path, legacy, signing } = await openWith();
    const device = path.devices.get(legacy.did) as Device;
    const records = [{ n: '1-0:1.8.0', u: 'Wh', v: 5 }];
    const marks = () => new Marks(path.store).of(device.id);
    const keep = (name: string, value: number) => [saveMark(device.id, name, value)];
    const atMs = Date.UTC(2026, 10, 25, 3, 0, 7, 900);
    expect(await path.custodian.submit(device, 'serial', records, atMs, keep('cursor', 1))).toMatchObject({
      kind: 'accepted',
    });
    expect(readingAt(path, 1).iat).toBe(Math.floor(atMs / 1000));
    expect(marks()).toEqual({ cursor: 1 });
    const other = [{ n: 'elsewhere', v: 5 }];
    expect(await path.custodian.submit(device, 'serial', other, atMs, keep('cursor', 2))).toEqual(
      quarantined('PROFILE_MISMATCH'),
    );
    expect(marks()).toEqual({ cursor: 2 });
    // A statement that the store does not take: then there is no entry either.
    const entries = path.log.size;
    await expect(
      path.custodian.submit(device, 'serial', records, atMs, [{ sql: 'INSERT INTO nowhere VALUES (1)', params: [] }]),
    ).rejects.toEqual(code('STORE_UNAVAILABLE'));
    expect([path.log.size, marks()]).toEqual([entries, { cursor: 2 }]);
    expect(await send(path, signing, json(1))).toEqual(quarantined('CUSTODY_MISMATCH'));
    await path.finish();
  });
});
