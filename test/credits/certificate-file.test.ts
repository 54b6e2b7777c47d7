import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dayTokenId, parseFile } from '../../edge/credits/certificate-file.ts';
import { GATEWAY, HOUR, LOG_KEY, makeFile, SLOT, steps, type Wanted } from './certificate-rig.ts';

const STEPS = [
  'file format',
  'claims',
  'token',
  'mint event',
  'slot',
  'registers',
  'cap',
  'envelopes',
  'device signatures',
  'checkpoint signature',
  'inclusion',
  'certificate proof',
  'file proof',
];
const MODULUS = 1_000_000_000;

describe('the portable file of a certificate', () => {
  it.each<[string, Wanted]>([
    ['of two readings', {}],
    ['of a day profile', { shape: 'profile' }],
    ['of a P-256 meter', { keyType: 'P-256' }],
    ['of a P-256 meter with a day profile', { keyType: 'P-256', shape: 'profile' }],
    [
      'of a register that began anew',
      { startWh: MODULUS - 100, endWh: 312, wh: 412, modulusWh: MODULUS, flags: ['rollover'] },
    ],
    ['of a corrected hour', { version: 2 }],
    ['of a corrected hour of which more was claimed before', { version: 1, claims: [400, 300] }],
    ['that nobody has claimed', { claims: [] }],
  ])('holds: %s', async (_, wanted) => {
    const { bytes } = makeFile(wanted);
    for (const pinned of [{}, { issuer: GATEWAY.did, key: LOG_KEY }]) {
      const { failed, said, lines } = await steps(bytes, pinned);
      expect(failed, lines.join('\n')).toBeUndefined();
      expect(said).toEqual(STEPS);
    }
  });

  it('says which keys it took from the file alone, and holds to those that it is told', async () => {
    const { bytes } = makeFile();
    const { lines } = await steps(bytes);
    expect(lines.find((l) => l.startsWith('checkpoint signature'))).toContain(LOG_KEY);
    expect(lines.find((l) => l.startsWith('certificate proof'))).toContain('as the file has it');
    const { file } = makeFile({ keyType: 'P-256' });
    expect((await steps(bytes, { issuer: file.credential.credentialSubject.meter.device })).failed).toBe(
      'certificate proof',
    );
    expect((await steps(bytes, { key: LOG_KEY.replace('test.', 'rest.') })).failed).toBe('checkpoint signature');
  });

  /** A gateway that lies signs whatever it likes: the step that needs no word of it must say no. */
  it.each<[string, string, Wanted]>([
    ['claims', 'more than there was', { claims: [400, 13] }],
    [
      'claims',
      'another hour',
      {
        file: (f) =>
          f.claims.forEach((c) => {
            c.slot += HOUR;
          }),
      },
    ],
    [
      'claims',
      'another token',
      {
        file: (f) =>
          f.claims.forEach((c) => {
            c.id = dayTokenId(c.beneficiary, 1, 0);
          }),
      },
    ],
    [
      'claims',
      'another contract',
      {
        file: (f) =>
          f.claims.forEach((c) => {
            c.contract = `0x${'c2'.repeat(20)}`;
          }),
      },
    ],
    [
      'claims',
      'a donation to nobody',
      {
        file: (f) =>
          f.claims.forEach((c) => {
            c.purpose = 'donation';
          }),
      },
    ],
    [
      'token',
      'the id of the day before',
      {
        claims: [],
        file: (f) => {
          f.mint.id = dayTokenId(f.mint.meteringPoint, Math.floor(SLOT / 86_400) - 1, 0);
        },
      },
    ],
    [
      'token',
      'an id of another hour',
      {
        claims: [],
        facts: (f) => {
          f.id = f.id.replace('T03Z', 'T04Z');
        },
      },
    ],
    [
      'token',
      'a version that supersedes none',
      {
        version: 1,
        facts: (f) => {
          f.supersedes = null;
        },
      },
    ],
    [
      'mint event',
      'another device',
      {
        file: (f) => {
          f.mint.device = f.mint.meteringPoint;
        },
      },
    ],
    [
      'mint event',
      'another amount',
      {
        file: (f) => {
          f.mint.amounts = [101, 411];
        },
      },
    ],
    [
      'mint event',
      'another hour',
      {
        file: (f) => {
          f.mint.firstSlot += HOUR;
        },
      },
    ],
    [
      'mint event',
      'a sum that is none',
      {
        file: (f) => {
          f.mint.minted++;
        },
      },
    ],
    [
      'slot',
      'a reading two minutes off',
      {
        facts: (f) => {
          f.end.iat += 120;
        },
      },
    ],
    ['registers', 'one Wh more', { wh: 413 }],
    ['registers', 'a register that fell', { startWh: 900, endWh: 100, wh: 300, flags: ['rollover'], claims: [] }],
    ['registers', 'a rollover that is none', { flags: ['rollover'] }],
    [
      'registers',
      'a register above its modulus',
      { startWh: MODULUS + 1, endWh: 312, wh: 311, claims: [], modulusWh: MODULUS, flags: ['rollover'] },
    ],
    ['cap', 'more than the plant can make', { endWh: 1_004_412, claims: [] }],
    [
      'cap',
      'a plant of unknown power',
      {
        facts: (f) => {
          f.plant.capacityW = null;
        },
      },
    ],
    [
      'envelopes',
      'other registers than were signed',
      {
        facts: (f) => {
          f.start.wh += 5;
          f.end.wh += 5;
        },
      },
    ],
    [
      'envelopes',
      'another time than was signed',
      {
        facts: (f) => {
          f.start.iat++;
        },
      },
    ],
    [
      'envelopes',
      'entries in the wrong order',
      {
        file: (f) => {
          f.entries.reverse();
        },
      },
    ],
    [
      'envelopes',
      'another metering point',
      {
        facts: (f) => {
          f.gsrn = '880000000000000006';
          f.id = f.id.replace(/^\d+/, f.gsrn);
        },
      },
    ],
    [
      'device signatures',
      'an envelope that the meter never signed',
      {
        entries: (e) => {
          (e[1] as Uint8Array)[e[1]!.length - 1]! ^= 1;
        },
      },
    ],
    [
      'checkpoint signature',
      'another root',
      {
        facts: (f) => {
          f.log!.root = new Uint8Array(32);
        },
      },
    ],
    [
      'inclusion',
      'a path to somewhere else',
      {
        file: (f) => {
          f.entries[0]!.path = f.entries[1]!.path;
        },
      },
    ],
  ])('does not hold: %s, %s', async (step, _, wanted) => {
    const { failed, lines } = await steps(makeFile(wanted).bytes);
    expect(failed, lines.join('\n')).toBe(step);
  });

  it('does not hold with any one byte flipped, wherever it is, and says at which step', async () => {
    for (const wanted of [{}, { shape: 'profile', keyType: 'P-256' }] as const) {
      const { bytes } = makeFile(wanted);
      const seen = new Set<string>();
      await fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
          const flipped = Uint8Array.from(bytes);
          (flipped[at] as number) ^= by;
          const { failed } = await steps(flipped);
          expect(failed, `byte ${at}`).toBeDefined();
          seen.add(failed as string);
        }),
        { seed: 5, numRuns: 600 },
      );
      expect(seen.size).toBeGreaterThan(5);
    }
  });

  it('does not hold with one bit of its meaning changed, at each place where there is one', async () => {
    const { bytes } = makeFile();
    const text = Buffer.from(bytes).toString();
    // Digits and letters inside values: what remains JSON, and mostly in canonical form, so that steps behind the first must see it.
    const places = [...text.matchAll(/[0-9a-zA-Z]/g)].map((m) => m.index).filter((_, i) => i % 7 === 0);
    const broke = new Map<string, number>();
    for (const at of places) {
      const c = text[at] as string;
      const other = /[0-8a-yA-Y]/.test(c) ? String.fromCharCode(c.charCodeAt(0) + 1) : c === '9' ? '8' : 'b';
      const { failed } = await steps(Buffer.from(text.slice(0, at) + other + text.slice(at + 1)));
      expect(failed, `${text.slice(at - 20, at)}[${c}]`).toBeDefined();
      broke.set(failed as string, (broke.get(failed as string) ?? 0) + 1);
    }
    // Everything that a flip can reach before a signature over it does.
    for (const step of [
      'file format',
      'claims',
      'mint event',
      'envelopes',
      'device signatures',
      'inclusion',
      'file proof',
    ])
      expect([...broke.keys()]).toContain(step);
  });

  it('has one spelling', () => {
    const { bytes, file } = makeFile();
    expect(parseFile(bytes)).toEqual(file);
    const text = Buffer.from(bytes).toString();
    for (const other of [
      `${text}\n`,
      JSON.stringify(JSON.parse(text), null, 1),
      text.replace('"format"', '"f\\u006frmat"'),
    ])
      expect(() => parseFile(Buffer.from(other)), other.slice(0, 40)).toThrow();
  });
});

describe('the id of a day', () => {
  it('is 192 bits of the metering point, type 1, two bytes of zero, four of the day, one of the version', () => {
    const point = `0x${'ab'.repeat(32)}`;
    expect(dayTokenId(point, 0x512d, 3)).toBe(`0x${'ab'.repeat(24)}01${'0000'}${'0000512d'}${'03'}`);
  });
});
