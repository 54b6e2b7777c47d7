/** Everything random in a run comes from its seed, so that the same seed makes the same run. */
import { hash } from 'node:crypto';

/** 32 bits for a name; different names are independent. */
export const seedOf = (...parts: readonly (string | number)[]): number =>
  hash('sha256', parts.join('\n'), 'buffer').readUInt32BE(0);

/** mulberry32: a sequence of numbers in [0, 1). */
export function sequence(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    return mix(state);
  };
}

/** One number in [0, 1) for each whole `i`, in any order: what a sequence cannot give. */
export const noiseAt = (seed: number, i: number): number => mix((seed ^ Math.imul(i | 0, 0x9e3779b1)) | 0);

/** Noise without jumps: {@link noiseAt} at the whole numbers, eased between them. */
export function smoothNoise(seed: number, x: number): number {
  const i = Math.floor(x);
  const f = x - i;
  const a = noiseAt(seed, i);
  return a + (noiseAt(seed, i + 1) - a) * f * f * (3 - 2 * f);
}

function mix(state: number): number {
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 0x100000000;
}
