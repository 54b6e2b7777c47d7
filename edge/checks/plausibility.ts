/**
 * Whether what a vehicle says can be true, held against its own telemetry and its earlier checks. Pure functions: each
 * answers with a finding or nothing. A finding is a reason to look, with the evidence in numbers; it convicts nobody
 * and revokes nothing, so it never says more than REVIEW.
 */

/** Degrees, WGS 84. */
export type Place = { lat: number; lon: number };

/** What the vehicle measured at one moment (Unix ms, its own GNSS time); what it left out is undefined. */
export type Sample = { ms: number; fix?: Place | undefined; speedKmh?: number | undefined };

/** An earlier check of the same registration or pseudonym, whose credential was proven. */
export type PastCheck = {
  /** When it was decided, Unix ms by the gateway's clock. */
  ms: number;
  holder: string;
  registration: string;
  counter: number;
  /** SHA-256 of its telemetry, as the presentation names it. */
  telemetry: string;
  validFromMs: number;
  validUntilMs: number;
  gate: string;
  /** The vehicle's own fix; undefined where it gave none. */
  fix?: Place | undefined;
  /** It was let pass: a place that was doubted is no measure for the next one. */
  allowed: boolean;
};

/** Where it was at a moment: at an earlier check, or by a reading of its own that was accepted. */
export type Sighting = Pick<PastCheck, 'ms' | 'gate' | 'fix' | 'allowed'>;

/** Where a gate stands, and how far around it a vehicle may be that speaks to it. */
export type Reach = Place & { radiusM: number };

export type FindingReason =
  | 'COUNTER_FORK'
  | 'REGISTRATION_TWO_KEYS'
  | 'IMPOSSIBLE_TRAVEL'
  | 'SPEED_DISPLACEMENT'
  | 'FROZEN_FIX'
  | 'GNSS_TIME'
  | 'OUT_OF_REACH'
  | 'TELEMETRY_MISMATCH';
export type Finding = { reason: FindingReason; evidence: Readonly<Record<string, string | number>> };

/**
 * `fixErrorM`: how far off an honest fix may be, between houses too. `gnssSkewMs`: how far the vehicle's time may be
 * from ours.
 */
export type Limits = { maxSpeedKmh: number; fixErrorM: number; gnssSkewMs: number };

/** So many earlier checks are looked at, the newest first. */
export const MAX_PAST = 32;

/** Beyond such a hole between two samples nothing is known of the speed in it: the track is judged piece by piece. */
const MAX_HOLE_MS = 10_000;
/** A piece that is shorter says too little. */
const MIN_TRACK_MS = 3_000;
/** OBD speed is good to a few percent; tyres, slopes and sampling want room. */
const SPEED_SLACK = 0.3;
/** Rounded GNSS time can put two checks of one second into no time at all. */
const MIN_TRAVEL_MS = 1_000;

const EARTH_M = 6_371_008.8;
const rad = (degrees: number): number => (degrees * Math.PI) / 180;
const round = (n: number): number => Math.round(n);

/** Great-circle distance in metres (haversine), good to 0.5 %. */
export function metresBetween(a: Place, b: Place): number {
  const h =
    Math.sin(rad(b.lat - a.lat) / 2) ** 2 +
    Math.cos(rad(a.lat)) * Math.cos(rad(b.lat)) * Math.sin(rad(b.lon - a.lon) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The same counter of one key with other telemetry: two who hold the key, or a counter that was put back. */
export function counterFork(
  past: readonly PastCheck[],
  now: Pick<PastCheck, 'holder' | 'counter' | 'telemetry'>,
): Finding | undefined {
  const same = past.find((p) => p.holder === now.holder && p.counter === now.counter);
  if (!same || past.some((p) => p.holder === now.holder && p.counter === now.counter && p.telemetry === now.telemetry))
    return undefined;
  return {
    reason: 'COUNTER_FORK',
    evidence: { counter: now.counter, earlier: same.telemetry, now: now.telemetry, earlierMs: same.ms },
  };
}

/**
 * Two keys of one registration in turns: this one, then another, then this one again, while both are valid. A vehicle
 * that goes on to its next pseudonym never comes back to the one before.
 * @param past of this registration, the newest first
 */
export function registrationTwoKeys(
  past: readonly PastCheck[],
  now: Pick<PastCheck, 'holder' | 'registration' | 'validFromMs' | 'validUntilMs'>,
): Finding | undefined {
  const mine = past.slice(0, MAX_PAST).filter((p) => p.registration === now.registration);
  const at = mine.findIndex(
    (p) => p.holder !== now.holder && p.validFromMs < now.validUntilMs && now.validFromMs < p.validUntilMs,
  );
  const other = mine[at];
  const before = mine.slice(at + 1).find((p) => p.holder === now.holder);
  if (!other || !before) return undefined;
  return {
    reason: 'REGISTRATION_TWO_KEYS',
    evidence: { other: other.holder, otherMs: other.ms, otherGate: other.gate, beforeMs: before.ms },
  };
}

/**
 * Faster from the last place where it was let pass than any vehicle goes. Where it gives no fix, the gate it stood at
 * is its place.
 * @param past of this registration, or of this key, the newest first
 * @param reachOf where a gate stands, as far as that is known
 */
export function impossibleTravel(
  past: readonly Sighting[],
  now: { ms: number; gate: string; fix?: Place | undefined },
  reachOf: (gate: string) => Reach | undefined,
  limits: Limits,
): Finding | undefined {
  const place = (c: { gate: string; fix?: Place | undefined }): Reach | undefined =>
    c.fix ? { ...c.fix, radiusM: limits.fixErrorM } : reachOf(c.gate);
  const here = place(now);
  const last = past.slice(0, MAX_PAST).find((p) => p.allowed && place(p));
  const there = last && place(last);
  if (!here || !last || !there) return undefined;
  const metres = metresBetween(there, here) - there.radiusM - here.radiusM;
  const ms = Math.max(MIN_TRAVEL_MS, Math.abs(now.ms - last.ms));
  const kmh = (metres / ms) * 3600;
  if (kmh <= limits.maxSpeedKmh) return undefined;
  return {
    reason: 'IMPOSSIBLE_TRAVEL',
    evidence: { metres: round(metres), seconds: round(ms / 1000), kmh: round(kmh), from: last.gate, to: now.gate },
  };
}

type Piece = { seconds: number; drivenM: number; movedM: number; pathM: number; fixes: number; frozen: boolean };

/** The track between two holes, in the order of time: what its wheels drove, and how far its fixes moved. */
function pieceOf(samples: readonly Sample[]): Piece | undefined {
  const fixes = samples.flatMap((s) => (s.fix ? [{ ms: s.ms, ...s.fix }] : []));
  const [first, last] = [fixes[0], fixes.at(-1)];
  if (!first || !last || last.ms - first.ms < MIN_TRACK_MS) return undefined;
  // Only the time that the fixes span is compared.
  const speeds = samples.filter((s) => s.speedKmh !== undefined && s.ms >= first.ms && s.ms <= last.ms);
  if (speeds.length < 2 || speeds[0]?.ms !== first.ms || speeds.at(-1)?.ms !== last.ms) return undefined;
  let drivenM = 0;
  for (let i = 1; i < speeds.length; i++) {
    const [a, b] = [speeds[i - 1] as Sample, speeds[i] as Sample];
    drivenM += (((a.speedKmh as number) + (b.speedKmh as number)) / 2 / 3.6) * ((b.ms - a.ms) / 1000);
  }
  let pathM = 0;
  for (let i = 1; i < fixes.length; i++) pathM += metresBetween(fixes[i - 1] as Place, fixes[i] as Place);
  return {
    seconds: (last.ms - first.ms) / 1000,
    drivenM,
    movedM: metresBetween(first, last),
    pathM,
    fixes: fixes.length,
    frozen: fixes.length > 2 && fixes.every((f) => f.lat === first.lat && f.lon === first.lon),
  };
}

function piecesOf(samples: readonly Sample[]): Piece[] {
  const inOrder = samples.toSorted((a, b) => a.ms - b.ms);
  const pieces: Sample[][] = [];
  for (const sample of inOrder) {
    const open = pieces.at(-1);
    const before = open?.at(-1);
    if (open && before && sample.ms - before.ms <= MAX_HOLE_MS) open.push(sample);
    else pieces.push([sample]);
  }
  return pieces.flatMap((p) => pieceOf(p) ?? []);
}

const numbers = ({ seconds, drivenM, movedM, fixes }: Piece) => ({
  seconds: round(seconds),
  drivenM: round(drivenM),
  movedM: round(movedM),
  fixes,
});

/** A fix that stands still to the last digit while the wheels turn: a receiver that repeats itself. */
export function frozenFix(samples: readonly Sample[], { fixErrorM }: Limits): Finding | undefined {
  const found = piecesOf(samples).find((p) => p.frozen && p.drivenM > 2 * fixErrorM);
  return found && { reason: 'FROZEN_FIX', evidence: numbers(found) };
}

/** The fixes moved farther than the wheels, or far less than they did. */
export function speedDisplacement(samples: readonly Sample[], { fixErrorM }: Limits): Finding | undefined {
  const slack = 2 * fixErrorM;
  const found = piecesOf(samples).find(
    (p) =>
      !p.frozen &&
      (p.movedM > p.drivenM * (1 + SPEED_SLACK) + slack || p.pathM < p.drivenM * (1 - SPEED_SLACK) - slack),
  );
  return found && { reason: 'SPEED_DISPLACEMENT', evidence: numbers(found) };
}

/** The time of the newest fix against our clock. A receiver that is spoofed with a recording is late. */
export function gnssTime(gnssMs: number, nowMs: number, { gnssSkewMs }: Limits): Finding | undefined {
  if (Math.abs(gnssMs - nowMs) <= gnssSkewMs) return undefined;
  return { reason: 'GNSS_TIME', evidence: { aheadSeconds: round((gnssMs - nowMs) / 1000) } };
}

/** Whoever speaks to this gate stands near it. */
export function outOfReach(fix: Place, reach: Reach, { fixErrorM }: Limits): Finding | undefined {
  const metres = metresBetween(fix, reach);
  if (metres <= reach.radiusM + fixErrorM) return undefined;
  return { reason: 'OUT_OF_REACH', evidence: { metres: round(metres), radiusM: round(reach.radiusM) } };
}
