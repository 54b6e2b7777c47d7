/**
 * What the shared code needs and engines of two years ago lack: half-precision floats (Node 18 to 22, Safari before 18.2)
 * and well-formed strings (Node 18). By ECMA-262 2025; the tests hold them against an engine that has its own.
 */

/** A half-precision float of 16 bits, as the number that it is (IEEE 754 binary16). */
export function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bits of the half-precision float nearest to a number; of two as near the even one. */
export function numberToHalf(n: number): number {
  const sign = n < 0 || Object.is(n, -0) ? 0x8000 : 0;
  if (Number.isNaN(n)) return 0x7e00;
  const size = Math.abs(n);
  if (size >= 65_520) return sign | 0x7c00;
  // The exponent, no lower than that of the subnormal ones. log2 may be off by one beside a power of two.
  let exponent = Math.max(-14, Math.floor(Math.log2(size || 1e-9)));
  if (exponent > -14 && 2 ** exponent > size) exponent--;
  if (2 ** (exponent + 1) <= size) exponent++;
  const scaled = size * 2 ** (10 - exponent);
  const low = Math.floor(scaled);
  const rest = scaled - low;
  const rounded = rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
  // A fraction that rounds up to 2 carries into the exponent by itself.
  return sign | (rounded + ((exponent + 14) << 10));
}

/** A lone surrogate in a text that goes through UTF-8 comes back as another character. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

function fill(target: object, name: string, value: (...args: never[]) => unknown): void {
  if (!(name in target)) Object.defineProperty(target, name, { value, configurable: true, writable: true });
}

fill(Math, 'f16round', (n: number) => halfToNumber(numberToHalf(n)));
fill(DataView.prototype, 'getFloat16', function (this: DataView, at: number, little?: boolean) {
  return halfToNumber(this.getUint16(at, little));
});
fill(DataView.prototype, 'setFloat16', function (this: DataView, at: number, n: number, little?: boolean) {
  this.setUint16(at, numberToHalf(n), little);
});
fill(String.prototype, 'isWellFormed', function (this: string) {
  return isWellFormed(String(this));
});
