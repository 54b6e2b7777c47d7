import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EdgeError, ERRORS, type ErrorCode } from '../../edge/errors.ts';
import type { Outcome } from '../../edge/intake/accept.ts';
import { encodeCbor } from '../../edge/wire/cbor.ts';
import { decodeSign1, encodeSign1, sigStructure } from '../../edge/wire/cose.ts';
import { tempFolder } from '../support/temp.ts';
import { Meter, Path } from './path.ts';

const code = (name: ErrorCode) => expect.objectContaining({ code: name });
const accepted = (index: number): Outcome => ({ kind: 'accepted', index });
const known = (index: number): Outcome => ({ kind: 'known', index });
const quarantined = (name: ErrorCode) => expect.objectContaining({ kind: 'quarantined', code: name });

/** A path with enrolled meters; index 0 is the genesis entry, so theirs begin at 1. */
async function openWith(names: readonly string[], over: Parameters<typeof Path.open>[1] = {}) {
  const path = await Path.open(tempFolder(), over);
  const meters = names.map((name) => new Meter(name));
  for (const meter of meters) await path.enrol(meter);
  return { path, meters: meters as [Meter, ...Meter[]] };
}

/** An envelope whose payload and header may be anything, with a signature that is valid all the same. */
function crafted(meter: Meter, over: { protectedHeader?: Uint8Array; payload?: Uint8Array }): Uint8Array {
  const parts = { ...decodeSign1(meter.envelope()), ...over };
  return encodeSign1({ ...parts, signature: meter.sign(sigStructure(parts.protectedHeader, parts.payload)) });
}

describe('accept', () => {
  it('gives indexes in the order of arrival, though signatures are checked in any order', async () => {
    const { path, meters } = await openWith(['a', 'b', 'c']);
    // Large ones take longer to check than small ones, and bad ones are known at once.
    const offers = Array.from({ length: 240 }, (_, i) => {
      const meter = meters[i % 3] as Meter;
      const records = [
        { n: '1-0:1.8.0', u: 'Wh', v: i },
        ...(i % 20 === 0 ? [{ n: 'blob', vd: new Uint8Array(60_000) }] : []),
      ];
      return i % 7 === 3
        ? path.offer(meter, meter.envelope({ records, sign: () => new Uint8Array(64) }))
        : path.offer(meter, meter.envelope({ records }));
    });
    expect(path.log.size).toBe(1);
    const outcomes = await Promise.all(offers);
    let next = 1;
    for (const [i, outcome] of outcomes.entries())
      expect(outcome).toEqual(i % 7 === 3 ? quarantined('SIGNATURE_INVALID') : accepted(next++));
    expect(path.accept.counts).toMatchObject({ accepted: next, known: 0, failed: 0 });
    expect(path.accept.pending).toBe(0);
    expect((await path.finish()).entries).toBe(next);
  });

  it('writes what arrives together in one transaction, and no more than 2,048 of it', async () => {
    const { path, meters } = await openWith(['a'], { maxQuarantinePerDevice: 10_000 });
    for (const [many, transactions] of [
      [500, 1],
      [3_000, 2],
    ] as const) {
      const before = path.store.commits.count;
      // What needs no check of a signature is ready at once.
      await Promise.all(Array.from({ length: many }, (_, i) => path.offer(meters[0], Buffer.from(`${many} ${i}`))));
      expect(path.store.commits.count - before).toBe(transactions);
    }
    await path.finish();
  });

  it('answers the same bytes with the same index: in one group, later, and after a restart', async () => {
    const { path, meters } = await openWith(['a', 'b']);
    const [a, b] = meters as unknown as [Meter, Meter];
    const [one, two] = [a.envelope(), a.envelope()];
    expect(await Promise.all([path.offer(a, one), path.offer(a, one), path.offer(b), path.offer(a, one)])).toEqual([
      accepted(1),
      known(1),
      accepted(2),
      known(1),
    ]);
    expect(await Promise.all([path.offer(a, two), path.offer(a, one)])).toEqual([accepted(3), known(1)]);
    const again = await path.reopen();
    expect(await again.offer(a, one)).toEqual(known(1));
    expect(await again.offer(a, two)).toEqual(known(3));
    expect(await again.offer(a, a.envelope())).toEqual(accepted(4));
    expect(again.held()).toEqual([]);
    expect((await again.finish()).entries).toBe(5);
  });

  it('takes an empty group of nothing but resends without writing an entry', async () => {
    const { path, meters } = await openWith(['a']);
    const one = meters[0].envelope();
    await path.offer(meters[0], one);
    expect(await Promise.all([path.offer(meters[0], one), path.offer(meters[0], one)])).toEqual([known(1), known(1)]);
    expect(path.log.size).toBe(2);
    await path.finish();
  });

  it('quarantines other bytes under a used counter as equivocation: in one group, later, and after a restart', async () => {
    const { path, meters } = await openWith(['a']);
    const [a] = meters;
    const variant = (wh: number): Uint8Array => a.envelope({ seq: 0, wh });
    expect(
      await Promise.all([path.offer(a, variant(1)), path.offer(a, variant(2)), path.offer(a, variant(1))]),
    ).toEqual([accepted(1), quarantined('EQUIVOCATION'), known(1)]);
    expect(await path.offer(a, variant(3))).toEqual(quarantined('EQUIVOCATION'));
    const again = await path.reopen();
    expect(await again.offer(a, variant(4))).toMatchObject({ code: 'EQUIVOCATION', epoch: 1, seq: 0 });
    expect(again.held().map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(
      [2, 3, 4].map((wh) => Buffer.from(variant(wh)).toString('hex')),
    );
    expect((await again.finish()).quarantined).toEqual(new Map([['EQUIVOCATION', 3]]));
  });

  it('quarantines a lower counter that fills no gap as a replay, and says what it was compared with', async () => {
    const { path, meters } = await openWith(['a']);
    const [a] = meters;
    const outcomes = await Promise.all([
      path.offer(a, a.envelope({ epoch: 3, seq: 5 })),
      path.offer(a, a.envelope({ epoch: 3, seq: 4 })), // before the first that was ever seen
      path.offer(a, a.envelope({ epoch: 2, seq: 9 })),
      path.offer(a, a.envelope({ epoch: 4, seq: 0 })),
      path.offer(a, a.envelope({ epoch: 3, seq: 6 })), // never seen missing
    ]);
    expect(outcomes).toEqual([
      accepted(1),
      quarantined('REPLAY'),
      quarantined('REPLAY'),
      accepted(2),
      quarantined('REPLAY'),
    ]);
    expect(outcomes[1]).toMatchObject({ detail: 'cti 3/4 is below 3/5', epoch: 3, seq: 4 });
    expect(outcomes[4]).toMatchObject({ detail: 'cti 3/6 is below 4/0' });
    expect((await path.finish()).quarantined).toEqual(new Map([['REPLAY', 3]]));
  });

  it('takes a gap that it saw open in any order, once each, and over a restart', async () => {
    const { path, meters } = await openWith(['a']);
    const [a] = meters;
    const envelope = (seq: number): Uint8Array => a.envelope({ seq });
    expect(await Promise.all([0, 10, 7, 3].map((seq) => path.offer(a, envelope(seq))))).toEqual(
      [1, 2, 3, 4].map(accepted),
    );
    const again = await path.reopen();
    expect(await Promise.all([9, 1, 7, 2, 8].map((seq) => again.offer(a, envelope(seq))))).toEqual([
      accepted(5),
      accepted(6),
      known(3),
      accepted(7),
      accepted(8),
    ]);
    expect(again.devices.get(a.did)?.counter.gaps).toEqual([{ epoch: 1, first: 4, last: 6 }]);
    expect(await Promise.all([5, 6, 4, 11].map((seq) => again.offer(a, envelope(seq))))).toEqual(
      [9, 10, 11, 12].map(accepted),
    );
    expect(again.devices.get(a.did)?.counter.gaps).toEqual([]);
    expect((await again.finish()).entries).toBe(13);
  });

  it('knows a device that was enrolled meanwhile, and one that was suspended', async () => {
    const { path, meters } = await openWith(['a']);
    const [a] = meters;
    const stranger = new Meter('stranger');
    const first = stranger.envelope();
    expect(await path.offer(stranger, first)).toEqual(quarantined('DEVICE_UNKNOWN'));
    await path.enrol(stranger);
    expect(await path.offer(stranger, first)).toEqual(accepted(1));
    await path.devices.setStatus(a.did, 'suspended', 1);
    expect(await path.offer(a)).toEqual(quarantined('DEVICE_INACTIVE'));
    await path.devices.setStatus(a.did, 'active', 2);
    expect(await path.offer(a)).toEqual(accepted(2));
    await path.finish();
  });
});

describe('quarantine', () => {
  type Given = { path: Path; meter: Meter };
  type Input = { bytes: Uint8Array; did?: string };
  const other = new Meter('other');
  const secp256k1 = 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme';
  const header = (meter: Meter, alg: number): Uint8Array =>
    encodeCbor(
      new Map<number, number | Map<number, string | number | Uint8Array>>([
        [1, alg],
        [3, 112],
        [
          15,
          new Map<number, string | number | Uint8Array>([
            [1, meter.did],
            [2, meter.sub],
            [6, 1],
            [7, new Uint8Array(8)],
          ]),
        ],
      ]),
    );

  /** One input for each reason that the table of errors has for it, up to the one that is no reason but a lack of room. */
  const inputs: Partial<Record<ErrorCode, { input: string; make: (given: Given) => Promise<Input> | Input }>> = {
    ENVELOPE_TOO_LARGE: { input: '65,536 bytes', make: () => ({ bytes: new Uint8Array(65_536).fill(0xd2) }) },
    CBOR_INVALID: {
      input: 'an envelope with its last byte missing',
      make: ({ meter }) => ({ bytes: meter.envelope().slice(0, -1) }),
    },
    ENVELOPE_INVALID: { input: 'plain text', make: () => ({ bytes: Buffer.from('{"Wh": 12}') }) },
    SENML_INVALID: {
      input: 'a signed pack with a base name',
      make: ({ meter }) => ({
        bytes: crafted(meter, {
          payload: encodeCbor([
            new Map<number, string | number>([
              [-2, 'a'],
              [0, 'b'],
              [2, 1],
            ]),
          ]),
        }),
      }),
    },
    PROFILE_MISMATCH: {
      input: 'a meter that bills kWh',
      make: ({ meter }) => ({ bytes: meter.envelope({ records: [{ n: '1-0:1.8.0', u: 'kWh', v: 1 }] }) }),
    },
    DID_INVALID: {
      input: 'a device that was enrolled with a key of another kind',
      make: async ({ path, meter }) => {
        await path.devices.enrol({ did: secp256k1, kind: 'meter', custody: 'device', sub: meter.sub }, 1);
        return { bytes: meter.envelope({ iss: secp256k1 }), did: secp256k1 };
      },
    },
    ALG_MISMATCH: {
      input: 'a header that says ES256',
      make: ({ meter }) => ({ bytes: crafted(meter, { protectedHeader: header(meter, -7) }) }),
    },
    SIGNATURE_INVALID: {
      input: "an envelope that another device's key signed",
      make: ({ meter }) => ({ bytes: meter.envelope({ sign: other.sign }) }),
    },
    DEVICE_UNKNOWN: {
      input: 'a device that is not enrolled',
      make: () => ({ bytes: other.envelope(), did: other.did }),
    },
    DEVICE_INACTIVE: {
      input: 'a device that was revoked',
      make: async ({ path, meter }) => {
        await path.devices.setStatus(meter.did, 'revoked', 1);
        return { bytes: meter.envelope() };
      },
    },
    ISSUER_MISMATCH: {
      input: "another device's envelope",
      make: ({ meter }) => ({ bytes: meter.envelope({ iss: other.did, sign: other.sign }) }),
    },
    SUBJECT_MISMATCH: {
      input: 'the register of another metering point',
      make: ({ meter }) => ({ bytes: meter.envelope({ sub: 'urn:sejong:mp:neighbour' }) }),
    },
    CUSTODY_MISMATCH: {
      input: 'an envelope of a device whose key the gateway holds',
      make: async ({ path }) => {
        const legacy = new Meter('legacy');
        await path.enrol(legacy, 'gateway');
        return { bytes: legacy.envelope(), did: legacy.did };
      },
    },
    REPLAY: {
      input: 'a counter below the first',
      make: async ({ path, meter }) => {
        await path.offer(meter, meter.envelope({ seq: 8 }));
        return { bytes: meter.envelope({ seq: 7 }) };
      },
    },
    EQUIVOCATION: {
      input: 'a counter that is in the log with other bytes',
      make: async ({ path, meter }) => {
        await path.offer(meter, meter.envelope({ seq: 8, wh: 1 }));
        return { bytes: meter.envelope({ seq: 8, wh: 2 }) };
      },
    },
  };

  it('has an input below for every reason in the table of errors', () => {
    const codes = Object.keys(ERRORS);
    expect(Object.keys(inputs)).toEqual(codes.slice(0, codes.indexOf('QUARANTINE_FULL')));
  });

  for (const [name, reason] of Object.entries(inputs))
    it(`${name}: keeps ${reason.input} as it was sent, once, and only counts it when it comes again`, async () => {
      const { path, meters } = await openWith(['a', 'honest']);
      const [meter, honest] = meters as unknown as [Meter, Meter];
      const { bytes, did = meter.did } = await reason.make({ path, meter });
      const size = path.log.size;
      const sent = Uint8Array.from(bytes);
      const send = () => path.custodian.offerEnvelope(did, `up/${did}/cose`, sent);

      const first = await send();
      expect(first).toEqual(quarantined(name as ErrorCode));
      const together = await Promise.all([send(), path.offer(honest), send()]);
      expect(together).toEqual([first, accepted(size), first]);

      expect(path.held()).toHaveLength(1);
      const row = path.held()[0];
      expect(row).toMatchObject({ did, topic: `up/${did}/cose`, code: name, times: 3 });
      expect(Buffer.from(row?.bytes as Uint8Array).equals(bytes)).toBe(true);
      expect(row).toMatchObject({ detail: (first as { detail: string }).detail });
      expect([path.quarantine.held, path.quarantine.heldBy(did)]).toEqual([1, 1]);
      expect(path.accept.counts.quarantined).toEqual(new Map([[name, 3]]));
      expect((await path.finish()).quarantined).toEqual(new Map([[name, 1]]));
    });

  it('with no room for a device acknowledges nothing more of it, takes what it has, and harms no other device', async () => {
    const { path, meters } = await openWith(['bad', 'honest', 'other'], { maxQuarantinePerDevice: 2 });
    const [bad, honest, another] = meters as unknown as [Meter, Meter, Meter];
    const junk = (i: number): Uint8Array => Buffer.from(`junk ${i}`);
    const full = code('QUARANTINE_FULL');
    const settled = await Promise.allSettled([
      path.offer(bad, junk(1)),
      path.offer(honest),
      path.offer(bad, junk(2)),
      path.offer(bad, junk(3)),
      path.offer(another, junk(4)),
      path.offer(bad, junk(1)),
      path.offer(bad),
      path.offer(honest),
    ]);
    expect(settled.map((s) => (s.status === 'fulfilled' ? s.value : s.reason))).toEqual([
      quarantined('ENVELOPE_INVALID'),
      accepted(1),
      quarantined('ENVELOPE_INVALID'),
      full,
      quarantined('ENVELOPE_INVALID'),
      quarantined('ENVELOPE_INVALID'),
      accepted(2), // what it says honestly is still taken
      accepted(3),
    ]);
    await expect(path.offer(bad, junk(3))).rejects.toEqual(full);
    expect(path.quarantine.heldBy(bad.did)).toBe(2);
    // The caps hold over a restart.
    const again = await path.reopen({ maxQuarantinePerDevice: 2 });
    await expect(again.offer(bad, junk(3))).rejects.toEqual(full);
    expect(await again.offer(bad, junk(2))).toEqual(quarantined('ENVELOPE_INVALID'));
    expect((await again.finish()).quarantined).toEqual(new Map([['ENVELOPE_INVALID', 3]]));
  });

  it('with no room for anybody acknowledges no refused envelope more, and all good ones', async () => {
    const { path, meters } = await openWith(['a', 'b'], { maxQuarantine: 3 });
    const [a, b] = meters as unknown as [Meter, Meter];
    const junk = (i: number): Uint8Array => Buffer.from(`junk ${i}`);
    const settled = await Promise.allSettled([0, 1, 2, 3, 4].map((i) => path.offer(i % 2 === 0 ? a : b, junk(i))));
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect(await Promise.all([path.offer(a), path.offer(b)])).toEqual([accepted(1), accepted(2)]);
    await path.finish();
  });
});

describe('when the disk does not take it', () => {
  it('nothing is answered, no counter moves, and a resend after it is mended is accepted', async () => {
    const { path, meters } = await openWith(['a', 'b']);
    const [a, b] = meters as unknown as [Meter, Meter];
    await path.offer(a);
    const counter = a && path.devices.get(a.did)?.counter;
    for (const table of ['entries', 'counters'] as const) {
      const mend = await path.breakTable(table);
      const sent = [a.envelope({ seq: 5 }), b.envelope({ seq: 0 }), Buffer.from('junk')];
      const offer = () => Promise.allSettled([path.offer(a, sent[0]), path.offer(b, sent[1]), path.offer(b, sent[2])]);
      for (const outcome of await offer()) expect(outcome).toMatchObject({ reason: { code: 'STORE_UNAVAILABLE' } });
      expect(path.log.size).toBe(2);
      expect(path.devices.get(a.did)?.counter).toBe(counter);
      expect(path.devices.get(b.did)?.counter.entries).toBe(0);
      expect(path.held()).toEqual([]);
      expect(path.quarantine.held).toBe(0);
      await mend();
    }
    expect(path.accept.counts.failed).toBe(6);
    expect(await Promise.all([path.offer(a, a.envelope({ seq: 5 })), path.offer(b, b.envelope({ seq: 0 }))])).toEqual([
      accepted(2),
      accepted(3),
    ]);
    expect((await path.finish()).entries).toBe(4);
  });

  it('a refused envelope is not acknowledged either', async () => {
    const { path, meters } = await openWith(['a']);
    const mend = await path.breakTable('quarantine');
    await expect(path.offer(meters[0], Buffer.from('junk'))).rejects.toEqual(code('STORE_UNAVAILABLE'));
    expect(path.quarantine.held).toBe(0);
    await mend();
    expect(await path.offer(meters[0], Buffer.from('junk'))).toEqual(quarantined('ENVELOPE_INVALID'));
    expect(path.held()).toHaveLength(1);
    await path.finish();
  });

  it('and does not give it either, those who wait are told, and the next ones are served once it does', async () => {
    const { path, meters } = await openWith(['a']);
    const [a] = meters;
    const run = (sql: string) => path.store.write({ statements: [{ sql, params: [] }] });
    await run('ALTER TABLE quarantine RENAME TO away');
    const settled = await Promise.allSettled([path.offer(a), path.offer(a, Buffer.from('junk')), path.offer(a)]);
    expect(settled[1]).toMatchObject({ reason: { code: 'STORE_UNAVAILABLE' } });
    // Whether the good ones shared a group with the bad one is the thread pool's to say: all or nothing either way.
    const taken = settled.filter((outcome) => outcome.status === 'fulfilled').length;
    expect(path.log.size).toBe(1 + taken);
    await run('ALTER TABLE away RENAME TO quarantine');
    expect(await path.offer(a)).toEqual(accepted(1 + taken));
    expect(path.accept.pending).toBe(0);
    await path.finish();
  });

  it('but did, the index is right, and the device that resends gets the same one', async () => {
    const { path, meters } = await openWith(['a']);
    const [a] = meters;
    const { store } = path;
    const real = store.write.bind(store);
    store.write = async (job) => {
      store.write = real;
      await real(job);
      throw new EdgeError('STORE_UNAVAILABLE', 'the answer was lost');
    };
    const envelope = a.envelope();
    expect(await path.offer(a, envelope)).toEqual(accepted(1));
    expect(await path.offer(a, envelope)).toEqual(known(1));
    expect(await path.offer(a, a.envelope())).toEqual(accepted(2));
    expect((await path.finish()).entries).toBe(3);
  });

  it('a gateway that dies then finds, when it starts again, only what was on disk', async () => {
    const { path, meters } = await openWith(['a']);
    const [a] = meters;
    const first = a.envelope();
    await path.offer(a, first);
    const mend = await path.breakTable('entries');
    const lost = a.envelope();
    await expect(path.offer(a, lost)).rejects.toEqual(code('STORE_UNAVAILABLE'));
    await mend();
    const again = await path.reopen();
    expect(await again.offer(a, first)).toEqual(known(1));
    expect(await again.offer(a, lost)).toEqual(accepted(2));
    await again.finish();
  });
});

describe('back-pressure', () => {
  it('lets no more wait than maxPendingBytes and one, and keeps the order of those who wait to be let in', async () => {
    const { path, meters } = await openWith(['a', 'b'], { maxPendingBytes: 2_000 });
    const envelopes = Array.from({ length: 100 }, (_, i) => (meters[i % 2] as Meter).envelope());
    const length = envelopes[0]?.length as number;
    let most = 0;
    const outcomes = envelopes.map((envelope, i) =>
      path.offer(meters[i % 2] as Meter, envelope).finally(() => {
        most = Math.max(most, path.accept.pending);
      }),
    );
    most = path.accept.pending;
    expect(most).toBe(Math.floor(2_000 / length) + 1);
    expect(await Promise.all(outcomes)).toEqual(envelopes.map((_, i) => accepted(1 + i)));
    expect(most).toBe(Math.floor(2_000 / length) + 1);
    await path.finish();
  });

  it('ends for those who wait also when the disk does not take what was before them', async () => {
    const { path, meters } = await openWith(['a'], { maxPendingBytes: 500 });
    const [a] = meters;
    const mend = await path.breakTable('entries');
    const envelopes = Array.from({ length: 20 }, () => a.envelope());
    const settled = await Promise.allSettled(envelopes.map((envelope) => path.offer(a, envelope)));
    expect(new Set(settled.map(({ status }) => status))).toEqual(new Set(['rejected']));
    await mend();
    for (const [i, envelope] of envelopes.entries()) expect(await path.offer(a, envelope)).toEqual(accepted(1 + i));
    await path.finish();
  });
});

describe('any interleaving of three devices that are honest, resend, equivocate and replay', () => {
  /** What must come of each envelope, by the rule in plain sets, in the order in which they were offered. */
  class Model {
    next: number;
    readonly entries = new Map<string, { index: number; bytes: string }>();
    readonly open = new Set<string>();
    readonly top = new Map<string, [number, number]>();

    constructor(next: number) {
      this.next = next;
    }

    expect(did: string, epoch: number, seq: number, bytes: string): Outcome {
      const name = `${did} ${epoch}/${seq}`;
      const top = this.top.get(did);
      if (!top || epoch > top[0] || (epoch === top[0] && seq > top[1])) {
        if (top) for (let i = epoch > top[0] ? 0 : top[1] + 1; i < seq; i++) this.open.add(`${did} ${epoch}/${i}`);
        this.top.set(did, [epoch, seq]);
      } else if (!this.open.delete(name)) {
        const entry = this.entries.get(name);
        if (!entry) return quarantined('REPLAY');
        return entry.bytes === bytes ? known(entry.index) : quarantined('EQUIVOCATION');
      }
      this.entries.set(name, { index: this.next, bytes });
      return accepted(this.next++);
    }
  }

  const step = fc.record({
    device: fc.nat(2),
    move: fc.constantFrom('next', 'next', 'next', 'leap', 'boot', 'resend', 'equivocate', 'past'),
    by: fc.nat(30),
    together: fc.boolean(),
  });
  type Claim = { epoch: number; seq: number; wh: number };

  /** What a device of this temper sends next; it remembers what it sent before. */
  function claim(meter: Meter, sent: readonly Claim[], move: string, by: number): Claim {
    const earlier = sent[by % sent.length];
    if (earlier && move === 'resend') return earlier;
    if (earlier && move === 'equivocate') return { ...earlier, wh: earlier.wh + 1 };
    if (move === 'past') return { epoch: meter.epoch - (by % 2), seq: by >> 1, wh: by };
    if (move === 'leap') meter.seq += by % 5;
    if (move === 'boot') {
      meter.epoch++;
      meter.seq = by % 3;
    }
    return { epoch: meter.epoch, seq: meter.seq++, wh: by };
  }

  it('each counter is in the log once at the most, and every answer is right', async () => {
    const path = await Path.open(tempFolder());
    let run = 0;
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const meters = [0, 1, 2].map((i) => new Meter(`${run}-${i}`));
        run++;
        for (const meter of meters) await path.enrol(meter);
        const sent: Claim[][] = [[], [], []];
        const model = new Model(path.log.size);
        let group: Promise<void>[] = [];
        for (const { device, move, by, together } of steps) {
          const meter = meters[device] as Meter;
          const said = claim(meter, sent[device] as Claim[], move, by);
          (sent[device] as Claim[]).push(said);
          const envelope = meter.envelope(said);
          const wanted = model.expect(meter.did, said.epoch, said.seq, Buffer.from(envelope).toString('hex'));
          group.push(
            path.offer(meter, envelope).then((outcome) => {
              expect(outcome).toEqual(wanted);
              const kind = outcome.kind === 'quarantined' ? outcome.code : outcome.kind;
              seen.set(kind, (seen.get(kind) ?? 0) + 1);
            }),
          );
          if (together) continue;
          await Promise.all(group);
          group = [];
        }
        await Promise.all(group);
        expect(path.log.size).toBe(model.next);
      }),
      { numRuns: 60, seed: 1 },
    );
    for (const kind of ['accepted', 'known', 'EQUIVOCATION', 'REPLAY'])
      expect(seen.get(kind), kind).toBeGreaterThan(20);
    const truth = await path.finish({ verifyOneIn: 10 });
    expect(truth.entries).toBe((seen.get('accepted') as number) + 1);
  });
});
