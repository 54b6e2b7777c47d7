/**
 * Stands in for node:fs and node:zlib in a bundle. What a verifier runs needs neither; modules that it shares a constant
 * with import them.
 */
const absent = (): never => {
  throw new Error('there are no files in a browser');
};

export const readFileSync = absent;
export const gzipSync = absent;
export const gunzipSync = absent;
