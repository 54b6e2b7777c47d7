/**
 * Stands in for node:fs, node:zlib and cborg in a bundle. What a verifier runs needs none of them; modules that it shares
 * something else with import them.
 */
const absent = (): never => {
  throw new Error('not in this bundle');
};

export const readFileSync = absent;
export const gzipSync = absent;
export const gunzipSync = absent;
export const decode = absent;
