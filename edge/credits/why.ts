/** Why a certificate says what it says, for who asks. Pure. */
import { EXPORT_REGISTER, HOUR } from '../wire/boundary.ts';
import { timeText } from '../wire/vc/shape.ts';
import { mostWh } from './cap.ts';
import type { CertificateFacts } from './certificate.ts';

export type Anchor = { chainId: number; contract: string; transaction: string; block: number };
export type WhyFacts = CertificateFacts & { point: string; refused: string | null; detail: string | null };

const text = (seconds: number): string => timeText(seconds * 1000);

/** As GET /certificates/{id} has it (api/credit-views.ts). */
export function why(f: WhyFacts, anchor: Anchor | undefined) {
  const rollover = f.end.wh < f.start.wh;
  const arithmetic = rollover
    ? `${f.modulusWh} - ${f.start.wh} + ${f.end.wh} = ${f.wh} Wh`
    : `${f.end.wh} - ${f.start.wh} = ${f.end.wh - f.start.wh} Wh`;
  const seconds = f.shape === 'profile' ? HOUR : Math.max(0, f.end.iat - f.start.iat);
  const capWh = f.plant.capacityW === null ? null : mostWh(f.plant.capacityW, seconds);
  const boundary = (at: number, { iat, wh, entry }: CertificateFacts['start']) => ({
    boundary: text(at),
    read: text(f.shape === 'profile' ? at : iat),
    register: EXPORT_REGISTER,
    wh,
    entry,
    envelope: `/entries/${entry}`,
    receipt: `/entries/${entry}/receipt`,
  });
  const entries =
    f.start.entry === f.end.entry ? `entry ${f.start.entry}` : `entries ${f.start.entry} and ${f.end.entry}`;
  const root = f.log
    ? `in the log ${f.log.origin} under the root of ${f.log.size} entries${anchor ? `, anchored in block ${anchor.block}` : ''}`
    : 'in no anchored tree yet';
  const verdict = f.refused === null ? '' : ` Refused: ${f.refused} (${f.detail}).`;
  return {
    text: `${f.wh} Wh from ${text(f.slot)} to ${text(f.slot + HOUR)}: register ${EXPORT_REGISTER} of ${f.device} at ${f.point}, ${arithmetic}, signed in ${entries}, ${root}.${verdict}`,
    rule: f.refused ?? (rollover ? 'rollover' : 'difference'),
    arithmetic,
    start: boundary(f.slot, f.start),
    end: boundary(f.slot + HOUR, f.end),
    shape: f.shape,
    modulusWh: f.modulusWh,
    capWh,
    root: f.log
      ? {
          origin: f.log.origin,
          size: f.log.size,
          root: Buffer.from(f.log.root).toString('base64'),
          anchor: anchor ?? null,
        }
      : null,
  };
}
