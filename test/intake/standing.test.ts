import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../edge/intake/accept.ts';
import { type BacklogPolicy, endings, mayConnect, refusal } from '../../edge/intake/standing.ts';
import { CounterState } from '../../edge/store/counters.ts';
import type { Device, DeviceStatus } from '../../edge/store/devices.ts';
import { LateEntries } from '../../edge/store/late.ts';
import type { Registration } from '../../edge/store/registrations.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { tempFolder } from '../support/temp.ts';
import { Meter, Path } from './path.ts';

const NOW_S = 1_800_000_000;
const now = (over = {}) => ({ receivedMs: NOW_S * 1000, monoMs: 0, clockSynced: true, ...over });
const POLICY: BacklogPolicy = { acceptBacklogAfterRevocation: true, backlogMaxAgeSeconds: 86_400 };
const CLOSED: BacklogPolicy = { ...POLICY, acceptBacklogAfterRevocation: false };
const local = (status: DeviceStatus = 'active', updatedMs = 0) => ({ status, updatedMs });

const registration = (over: Partial<Registration> = {}): Registration => ({
  status: 'active',
  since: NOW_S - 3600,
  block: 7,
  validFrom: 0,
  validUntil: null,
  meteringPoint: '0x01',
  owner: '0x00',
  kind: 'meter',
  energySource: '',
  capacityW: 0,
  custody: 'device',
  replacedBy: null,
  ...over,
});

describe('standing', () => {
  it('is good where both say so, or where the registry does not know the device', () => {
    expect(endings(local(), undefined, now())).toEqual([]);
    expect(endings(local(), registration(), now())).toEqual([]);
    expect(endings(local('suspended', 5), undefined, now())).toEqual([
      { status: 'suspended', by: 'gateway', sinceMs: 5, block: null },
    ]);
    expect(endings(local('suspended', 5), registration({ status: 'revoked', since: 9 }), now())).toEqual([
      { status: 'suspended', by: 'gateway', sinceMs: 5, block: null },
      { status: 'revoked', by: 'registry', sinceMs: 9000, block: 7 },
    ]);
  });

  it('holds the period against the time of receipt, its first second in and its last out, where the clock is synced', () => {
    const within = (validFrom: number, validUntil: number | null, over = {}) =>
      endings(local(), registration({ validFrom, validUntil }), now(over)).map(({ status }) => status);
    expect(within(NOW_S, NOW_S + 1)).toEqual([]);
    expect(within(NOW_S + 1, null)).toEqual(['not valid yet']);
    expect(within(0, NOW_S)).toEqual(['expired']);
    expect(within(0, NOW_S, { clockSynced: false })).toEqual([]);
    expect(within(NOW_S + 1, null, { clockSynced: false })).toEqual([]);
  });

  it('lets backlog in only by policy, signed before, young enough, of a device that is over for good', () => {
    const since = NOW_S - 3600;
    const revoked = endings(local(), registration({ status: 'revoked', since }), now());
    const why = (iat: number, over = {}, policy = POLICY, ended = revoked) =>
      refusal('did:x', ended, iat, now(over), policy)?.detail;
    expect(why(since - 1)).toBeUndefined();
    expect(why(since - 1, {}, CLOSED)).toBe('did:x is revoked in the registry (block 7, 2027-01-15T07:00:00Z)');
    expect(why(since)).toContain('; iat 2027-01-15T07:00:00Z is not before that');
    expect(why(NOW_S - 86_400)).toBeUndefined();
    expect(why(NOW_S - 86_401)).toContain('; backlog of 86401 s is older than 86400 s');
    expect(why(since - 1, { clockSynced: false })).toContain('without a synced clock');
    for (const status of ['suspended', 'revoked', 'replaced'] as const) {
      const ended = endings(local(status, since * 1000), undefined, now());
      expect(why(since - 1, {}, POLICY, ended)).toBe(status === 'suspended' ? 'did:x is suspended' : undefined);
      expect(mayConnect(ended, now(), POLICY)).toBe(status !== 'suspended');
      expect(mayConnect(ended, now(), CLOSED)).toBe(false);
      expect(mayConnect(ended, now({ receivedMs: (since + 86_400) * 1000 + 1 }), POLICY)).toBe(false);
    }
    // The stricter of two: the gateway replaced it, the city suspended it.
    const both = endings(local('replaced', since * 1000), registration({ status: 'suspended', since }), now());
    expect(why(since - 1, {}, POLICY, both)).toContain('is replaced and suspended in the registry');
  });

  it('makes room for no more counters than were missing at the end, whatever is sent after it', () => {
    // The rule of Plan: what is taken after the end must leave the highest counter as it is.
    const cti = fc.tuple(fc.nat(3), fc.nat(12));
    fc.assert(
      fc.property(fc.array(cti, { minLength: 1 }), fc.array(cti), (before, after) => {
        let state = CounterState.fresh;
        for (const [epoch, seq] of before) state = state.take(epoch, seq, 0, 0) ?? state;
        const open = new Set(
          state.gaps.flatMap((g) =>
            Array.from({ length: g.last - g.first + 1 }, (_, i) => `${g.epoch}/${g.first + i}`),
          ),
        );
        for (const [epoch, seq] of after) {
          const next = state.take(epoch, seq, 0, 0);
          if (!next || next.epoch !== state.epoch || next.seq !== state.seq) continue;
          expect(open.delete(`${epoch}/${seq}`), 'it was missing at the end, and is taken once').toBe(true);
          state = next;
        }
      }),
    );
  });
});

describe('a device that the registry revokes', () => {
  const SIGNED = 1_790_000_000; // what Meter says

  async function revokable(policy = POLICY, clock = { clockSynced: true }) {
    let held: Registration | undefined;
    const path = await Path.open(tempFolder(), {
      registered: (device: Device) => (device.kind === 'meter' ? held : undefined),
      backlog: policy,
      now: () => ({ receivedMs: (SIGNED + 3600) * 1000, monoMs: 0, ...clock }),
    });
    const meter = new Meter('a');
    await path.enrol(meter);
    const revoke = (since = SIGNED + 60): void => {
      held = registration({ status: 'revoked', since });
    };
    return { path, meter, revoke };
  }
  const inactive = (outcome: Outcome, detail: string): void =>
    expect(outcome).toMatchObject({
      kind: 'quarantined',
      code: 'DEVICE_INACTIVE',
      detail: expect.stringContaining(detail),
    });

  it('brings what was missing and nothing above it, once, and the entry says that it was late', async () => {
    const { path, meter, revoke } = await revokable();
    await path.offer(meter, meter.envelope({ seq: 0 }));
    await path.offer(meter, meter.envelope({ seq: 4 }));
    revoke();
    expect(await path.offer(meter, meter.envelope({ seq: 2 }))).toEqual({ kind: 'accepted', index: 3 });
    inactive(await path.offer(meter, meter.envelope({ seq: 5 })), 'cti 1/5 fills no gap that was open');
    inactive(await path.offer(meter, meter.envelope({ seq: 9, epoch: 2 })), 'cti 2/9 fills no gap');
    expect(await path.offer(meter, meter.envelope({ seq: 2 }))).toEqual({ kind: 'known', index: 3 });
    expect(await path.offer(meter, meter.envelope({ seq: 2, wh: 9 }))).toMatchObject({ code: 'EQUIVOCATION' });
    // Signed after the end, in a gap: whoever has the key can say so of an old time, but not of more counters.
    const { iss, sub } = { iss: meter.did, sub: meter.sub };
    const records = [{ n: '1-0:1.8.0', u: 'Wh', v: 1 }];
    const later = encodeEnvelope({ iss, sub, iat: SIGNED + 60, epoch: 1, seq: 3 }, records, meter.sign);
    inactive(await path.offer(meter, later), 'is not before that');
    const late = new LateEntries(path.store);
    expect(late.get(3)).toEqual({ status: 'revoked', by: 'registry', sinceMs: (SIGNED + 60) * 1000, block: 7 });
    expect([1, 2].map((idx) => late.get(idx))).toEqual([undefined, undefined]);
    const truth = await path.finish();
    expect(truth).toMatchObject({ entries: 4, late: 1 });
    expect(truth.quarantined).toEqual(
      new Map([
        ['DEVICE_INACTIVE', 3],
        ['EQUIVOCATION', 1],
      ]),
    );
  });

  it('brings nothing where the policy does not allow it, or where the clock is not synced', async () => {
    for (const [policy, clock, why] of [
      [CLOSED, { clockSynced: true }, 'is revoked in the registry (block 7'],
      [POLICY, { clockSynced: false }, 'without a synced clock'],
    ] as const) {
      const { path, meter, revoke } = await revokable(policy, clock);
      await path.offer(meter, meter.envelope({ seq: 0 }));
      await path.offer(meter, meter.envelope({ seq: 4 }));
      revoke();
      inactive(await path.offer(meter, meter.envelope({ seq: 2 })), why);
      expect(await path.finish()).toMatchObject({ entries: 3, late: 0 });
    }
  });

  it('is over for what is still being checked when the revocation is seen', async () => {
    const { path, meter, revoke } = await revokable();
    await path.offer(meter, meter.envelope({ seq: 0 }));
    // Both passed the first look. The one opens the gap that the other would fill.
    const offers = [path.offer(meter, meter.envelope({ seq: 4 })), path.offer(meter, meter.envelope({ seq: 2 }))];
    revoke();
    for (const outcome of await Promise.all(offers)) inactive(outcome, 'fills no gap');
    expect(await path.finish()).toMatchObject({ entries: 2, late: 0 });
  });
});
