/**
 * Whether a device may speak: by this gateway's own table, and by the city's registry as far as it was followed. Both
 * must say so. A device that the registry doesn't know speaks by the gateway's word alone. Pure, and offline.
 *
 * What a device signed before it was over may come later, as backlog. It is taken where the policy allows, and only if
 * all of this holds:
 *
 *   - the device is revoked, replaced or past its period; not suspended, which means: take nothing until it is clear
 *   - it says that it was signed before (iat), and that is not longer ago than the policy allows
 *   - its counter was expected: it fills a gap that the gateway has seen open. From the moment that the gateway knows of
 *     the end it takes no counter above the highest of the device, so every gap that is open was opened before, and
 *     whoever has the key since cannot make room for more than was missing then.
 *
 * All else lies in quarantine, with the reason; an operator may look at it there.
 */
import { EdgeError } from '../errors.ts';
import type { Device } from '../store/devices.ts';
import type { LateEntry } from '../store/late.ts';
import type { Registration } from '../store/registrations.ts';
import type { Stamp } from './clock.ts';

export type BacklogPolicy = { acceptBacklogAfterRevocation: boolean; backlogMaxAgeSeconds: number };

/** Why a device may not speak, by one of the two. */
export type Ending = LateEntry;

/** Of these, what was signed before may still be wanted. */
const MAY_BE_LATE = new Set(['revoked', 'replaced', 'expired']);

/**
 * Empty where it may speak. The registry's period is held against the time of receipt, and only where the clock is
 * synced: a box without a clock must not refuse all that it gets.
 * @param registered what the registry holds of the device; undefined where it holds nothing, or there is none
 */
export function endings(
  { status, updatedMs }: Pick<Device, 'status' | 'updatedMs'>,
  registered: Registration | undefined,
  { receivedMs, clockSynced }: Stamp,
): Ending[] {
  if (status === 'active' && registered === undefined) return NONE;
  const found: Ending[] = [];
  if (status !== 'active') found.push({ status, by: 'gateway', sinceMs: updatedMs, block: null });
  if (registered) {
    const { block, validFrom, validUntil } = registered;
    const add = (what: string, since: number): unknown =>
      found.push({ status: what, by: 'registry', sinceMs: since * 1000, block });
    if (registered.elsewhere) add('of another metering point', 0);
    if (registered.status !== 'active') add(registered.status, registered.since);
    if (clockSynced && receivedMs < validFrom * 1000) add('not valid yet', validFrom);
    // The period of what is replaced ends then: that needn't be said twice.
    const over = registered.status === 'replaced' && validUntil === registered.since;
    if (clockSynced && validUntil !== null && !over && receivedMs >= validUntil * 1000) add('expired', validUntil);
  }
  return found;
}
const NONE: Ending[] = [];

const iso = (ms: number): string => new Date(Math.min(ms, 8.64e15)).toISOString().replace('.000Z', 'Z');

const describe = ({ status, by, sinceMs, block }: Ending): string =>
  by === 'gateway' ? status : `${status} in the registry (block ${block}, ${iso(sinceMs)})`;

/** @param why nothing of it is taken all the same */
export const inactive = (did: string, ended: readonly Ending[], why?: string): EdgeError =>
  new EdgeError('DEVICE_INACTIVE', `${did} is ${ended.map(describe).join(' and ')}${why ? `; ${why}` : ''}`);

/**
 * Why an envelope of a device that is over is refused, as far as that can be told without its counter; undefined where
 * the counter decides ({@link unexpected}).
 */
export function refusal(
  did: string,
  ended: readonly Ending[],
  iat: number,
  { receivedMs, clockSynced }: Stamp,
  policy: BacklogPolicy,
): EdgeError | undefined {
  if (!policy.acceptBacklogAfterRevocation || ended.some(({ status }) => !MAY_BE_LATE.has(status)))
    return inactive(did, ended);
  const since = Math.min(...ended.map(({ sinceMs }) => sinceMs));
  if (iat * 1000 >= since) return inactive(did, ended, `iat ${iso(iat * 1000)} is not before that`);
  if (!clockSynced) return inactive(did, ended, 'without a synced clock the age of backlog is not known');
  const age = Math.floor(receivedMs / 1000) - iat;
  if (age > policy.backlogMaxAgeSeconds)
    return inactive(did, ended, `backlog of ${age} s is older than ${policy.backlogMaxAgeSeconds} s`);
  return undefined;
}

export const unexpected = (did: string, ended: readonly Ending[], epoch: number, seq: number): EdgeError =>
  inactive(did, ended, `cti ${epoch}/${seq} fills no gap that was open, so it was not expected`);

/** Whether a device that is over may still connect, to bring its backlog. */
export function mayConnect(
  ended: readonly Ending[],
  { receivedMs, clockSynced }: Stamp,
  policy: BacklogPolicy,
): boolean {
  if (ended.length === 0) return true;
  const since = Math.min(...ended.map(({ sinceMs }) => sinceMs));
  return (
    policy.acceptBacklogAfterRevocation &&
    ended.every(({ status }) => MAY_BE_LATE.has(status)) &&
    clockSynced &&
    receivedMs - since <= policy.backlogMaxAgeSeconds * 1000
  );
}

/** The earliest end is the one that is noted beside a late entry. */
export const firstEnding = (ended: readonly Ending[]): Ending =>
  ended.reduce((first, e) => (e.sinceMs < first.sinceMs ? e : first));
