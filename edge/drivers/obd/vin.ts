/** Vehicle identification numbers: ISO 3779 (17 characters, no I, O or Q), and the check digit where one is prescribed. */

export const VIN_PATTERN = '^[A-HJ-NPR-Z0-9]{17}$';

const FORM = new RegExp(VIN_PATTERN);

/** @param text as the vehicle tells it; control units that were never given one tell zeros, 0xFF or spaces */
export const isVin = (text: string): boolean => FORM.test(text);

/** 49 CFR 565.15(c), table III: what each letter counts. I, O and Q are not there. */
const VALUES: Readonly<Record<string, number>> = Object.fromEntries([
  ...[...'0123456789'].map((digit): [string, number] => [digit, Number(digit)]),
  ...[...'ABCDEFGH'].map((letter, i): [string, number] => [letter, i + 1]),
  ...[...'JKLMN'].map((letter, i): [string, number] => [letter, i + 1]),
  ...[...'PR'].map((letter, i): [string, number] => [letter, 7 + 2 * i]),
  ...[...'STUVWXYZ'].map((letter, i): [string, number] => [letter, i + 2]),
]);

/** The same, table IV: the weight of each place. The check digit itself, the ninth, has none. */
const WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/** The check digit that a VIN should have in its ninth place: 0 to 9, or X. */
export function checkDigit(vin: string): string {
  const sum = WEIGHTS.reduce((total, weight, i) => total + weight * (VALUES[vin[i] ?? ''] ?? 0), 0);
  return sum % 11 === 10 ? 'X' : String(sum % 11);
}

/**
 * North America (1 to 5; 49 CFR 565) and China (L; GB 16735) prescribe it. Elsewhere, and so in Korea (K), the ninth
 * place is the maker's own, and a digit that happens to be right or wrong says nothing.
 */
export const hasCheckDigit = (vin: string): boolean => /^[1-5L]/.test(vin);

/** What is to be thought of it, or undefined where nothing speaks against it. */
export function doubtOf(vin: string): string | undefined {
  return hasCheckDigit(vin) && checkDigit(vin) !== vin[8] ? 'the check digit of the VIN is not right' : undefined;
}

/** For log lines: a VIN leads to a person, so only its end is told. */
export const endOf = (vin: string): string => `...${vin.slice(-4)}`;
