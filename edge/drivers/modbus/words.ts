/** What registers hold: numbers and text, as devices put them there. Pure. */

/** A number of one, two or four registers. */
export type NumberType = 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'float32' | 'float64';

export const NUMBER_TYPES: readonly NumberType[] = [
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'float32',
  'float64',
];

/** Registers that a number takes. */
export const wordsOf = (type: NumberType): number => Number(type.replace(/\D+/, '')) / 16;

/**
 * Which register of a number comes first: that with its high bits, as in SunSpec and most devices, or that with its low
 * bits. In a register the high byte comes first, always (Application Protocol section 4.2).
 */
export type WordOrder = 'high-first' | 'low-first';

/**
 * 64-bit integers come as bigint.
 * @param words as many as the type takes
 * @returns undefined where it is a float and no finite number
 */
export function decodeNumber(type: NumberType, words: Uint16Array, order: WordOrder): number | bigint | undefined {
  const view = new DataView(new ArrayBuffer(2 * words.length));
  for (const [i, word] of words.entries())
    view.setUint16(2 * (order === 'high-first' ? i : words.length - 1 - i), word);
  switch (type) {
    case 'int16':
      return view.getInt16(0);
    case 'uint16':
      return view.getUint16(0);
    case 'int32':
      return view.getInt32(0);
    case 'uint32':
      return view.getUint32(0);
    case 'int64':
      return view.getBigInt64(0);
    case 'uint64':
      return view.getBigUint64(0);
    case 'float32':
      return shortest(view.getFloat32(0));
    case 'float64': {
      const value = view.getFloat64(0);
      return Number.isFinite(value) ? value : undefined;
    }
  }
}

/**
 * The number of fewest digits that a float32 stands for: a meter that holds 0.7 kWh shows 0.699999988, and what it means
 * is 0.7, which is 700 Wh and not 699.
 */
function shortest(value: number): number | undefined {
  if (!Number.isFinite(value)) return undefined;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

/** Ends at the first NUL. What is not printable ASCII has no place in a record or a log line. */
export function decodeText(words: Uint16Array): string | undefined {
  const bytes = Array.from(words).flatMap((word) => [word >>> 8, word & 0xff]);
  const end = bytes.indexOf(0);
  const text = String.fromCharCode(...(end < 0 ? bytes : bytes.slice(0, end)))
    .replace(/[^\x20-\x7e]/g, '?')
    .trim();
  return text === '' ? undefined : text;
}

/** Bit 0 is the lowest. */
export const bitOf = (value: number | bigint, bit: number): boolean => ((BigInt(value) >> BigInt(bit)) & 1n) === 1n;
