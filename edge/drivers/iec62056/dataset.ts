/**
 * Data sets of IEC 62056-21 (section 6.3.12 and 6.3.13): an address and its values, `1-0:1.8.1(001581.123*kWh)`. Pure.
 */

/**
 * By full OBIS code: `1.8.0`, `1-0:1.8.0` and `1-0:1.8.0*255` are one. Two of the same name are none. A value holds the
 * line breaks that stand in it: a long text has them, a number never.
 */
export type Dataset = ReadonlyMap<string, readonly string[]>;

/** What a text message of P1 may need (1024 octets in hex), and more. */
const MAX_VALUE = 4096;
const MAX_SETS = 1000;
const ADDRESS = /^(?:(\d{1,3})-(\d{1,3}):)?([0-9A-Z]{1,3})\.([0-9A-Z]{1,3})(?:\.([0-9A-Z]{1,3}))?(?:[*&](\d{1,3}))?$/;

/** @returns the code with all that may be left out: medium 1, channel 0, and not 255 */
export function fullObis(address: string): string | undefined {
  const match = ADDRESS.exec(address);
  if (!match) return undefined;
  const [, a = '1', b = '0', c, d, e, f] = match;
  const number = (part: string) => (/^\d+$/.test(part) ? String(Number(part)) : part);
  const rest = [c as string, d as string, ...(e === undefined ? [] : [e])].map(number).join('.');
  return `${number(a)}-${number(b)}:${rest}${f === undefined || Number(f) === 255 ? '' : `*${Number(f)}`}`;
}

/**
 * @param text what is between the identification and the exclamation mark. A value may go on in the next line, within its
 *   parentheses or with further ones (the gas of version 2.2)
 * @returns the sets, and how much of the text is none
 */
export function parseDataset(text: string): { sets: Dataset; strange: number } {
  const sets = new Map<string, string[]>();
  const twice = new Set<string>();
  let strange = 0;
  let at = 0;
  let last: string[] | undefined;
  while (at < text.length) {
    const line = /[\r\n]+/y;
    line.lastIndex = at;
    const breaks = line.exec(text);
    if (breaks) {
      at += breaks[0].length;
      continue;
    }
    const open = text.indexOf('(', at);
    const address = open < 0 ? undefined : text.slice(at, open);
    if (address !== '') {
      const name = address === undefined ? undefined : fullObis(address);
      if (name === undefined || sets.size >= MAX_SETS) {
        // On with the next line.
        strange++;
        last = undefined;
        const end = text.indexOf('\n', at);
        at = end < 0 ? text.length : end + 1;
        continue;
      }
      if (sets.has(name)) twice.add(name);
      last = [];
      sets.set(name, last);
      at = open;
    }
    const close = text.indexOf(')', at);
    const value = close < 0 ? undefined : text.slice(at + 1, close);
    if (value === undefined || value.length > MAX_VALUE || !/^(?:[\x20-\x27\x2a-\x7e]|\r\n)*$/.test(value)) {
      strange++;
      last = undefined;
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end + 1;
      continue;
    }
    if (last === undefined) strange++;
    else last.push(value);
    at = close + 1;
  }
  for (const name of twice) sets.delete(name);
  return { sets, strange: strange + twice.size };
}

/** A decimal as it stands: digits times ten to the exponent. */
export type Quantity = { digits: bigint; exponent: number; unit: string | undefined };

/** `0001.01*kW`, `42`, `-0.5*A`. */
export function quantityOf(value: string): Quantity | undefined {
  const match = /^([-+]?\d{1,16})(?:\.(\d{1,9}))?(?:\*([A-Za-z0-9/^%]{1,16}))?$/.exec(value);
  if (!match) return undefined;
  const [, whole, fraction = '', unit] = match;
  return { digits: BigInt(`${(whole as string).replace('+', '')}${fraction}`), exponent: -fraction.length, unit };
}
