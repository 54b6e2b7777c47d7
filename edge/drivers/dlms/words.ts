/** What the numbers of DLMS mean, in words: results, diagnostics, units, object names. Pure. */

/** Data-Access-Result (Green Book clause 9.5). */
const ACCESS: Record<number, string> = {
  1: 'hardware fault',
  2: 'temporary failure',
  3: 'access denied',
  4: 'it has no such object',
  9: 'the object is of another class',
  11: 'the object is unavailable',
  12: 'type unmatched',
  13: 'access denied: outside what this client may see',
  14: 'a data block is unavailable',
  15: 'the long answer was aborted',
  16: 'no long answer is in progress',
  19: 'wrong data block number',
  250: 'another reason',
};
export const accessResult = (code: number): string => ACCESS[code] ?? `data access result ${code}`;

/** Associate-source-diagnostic, acse-service-user (clause 9.4.2.2). */
const DIAGNOSTIC: Record<number, string> = {
  1: 'it gives no reason',
  2: 'it does not support the application context: ciphering is wanted, or is not (secrets.encryption)',
  3: 'it does not know our system title (options.systemTitle)',
  11: 'it does not know the authentication mechanism',
  12: 'it wants an authentication mechanism: set secrets.password',
  13: 'wrong password: set secrets.password to the meter’s own for this client (options.client)',
  14: 'it wants high security: set options.mechanism to gmac, with both keys',
};
export const diagnostic = (code: number): string => DIAGNOSTIC[code] ?? `diagnostic ${code}`;

/** Units of the Blue Book (clause 4.3.2, enum) as SenML names them; none for what has no unit. */
const UNITS: Record<number, string> = {
  8: 'deg',
  9: 'Cel',
  13: 'm3',
  14: 'm3',
  15: 'm3/h',
  19: 'l',
  20: 'kg',
  23: 'Pa',
  25: 'J',
  27: 'W',
  28: 'VA',
  29: 'var',
  30: 'Wh',
  31: 'VAh',
  32: 'varh',
  33: 'A',
  35: 'V',
  38: 'Ohm',
  44: 'Hz',
  56: '%',
};
const WITHOUT_UNIT = [254, 255, 0];
/** @returns undefined where there is none; another word for a unit that is not in the table */
export const unitOf = (code: number): string | undefined =>
  WITHOUT_UNIT.includes(code) ? undefined : (UNITS[code] ?? `unit ${code} of the Blue Book`);

/** `1-0:1.8.0` or `1-0:1.8.0*255` to its six bytes (IEC 62056-61), or undefined. */
export function parseObis(text: string): Uint8Array | undefined {
  const parts = /^(\d+)-(\d+):(\d+)\.(\d+)\.(\d+)(?:\*(\d+))?$/.exec(text)?.slice(1);
  const bytes = parts?.map((part) => Number(part ?? 255));
  return bytes?.every((byte) => byte <= 255) ? Uint8Array.from(bytes) : undefined;
}

export function obisText(bytes: Uint8Array): string {
  const [a, b, c, d, e, f] = bytes;
  return `${a}-${b}:${c}.${d}.${e}${f === 255 ? '' : `*${f}`}`;
}
