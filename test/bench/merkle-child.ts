/**
 * One tree over N leaf hashes, its root and one proof, in a process of its own so that its memory is its own.
 * argv: ours|merkletreejs N. stdout: JSON {seconds, bytes, root}
 */
import { createHash, hash } from 'node:crypto';
import { MerkleTree } from 'merkletreejs';
import { inclusionPath, rootAt, verifyInclusion } from '../../edge/log/merkle.ts';
import { type Edge, extend, nodeFromTiles } from '../../edge/log/tile.ts';

const [which, count] = process.argv.slice(2) as [string, string];
const n = Number(count);
const leaves = Array.from({ length: n }, (_, i) => hash('sha256', Buffer.from(String(i)), 'buffer'));
const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined);
collect();
const before = process.memoryUsage();
const started = performance.now();
const at = Math.floor(n / 3);
let root: Uint8Array;
let keep: unknown;
if (which === 'ours') {
  // As the log does it: groups of leaves, full tiles kept, the rest in the edge.
  const tiles = new Map<string, Uint8Array>();
  let edge: Edge = { size: 0, tiles: [] };
  for (let i = 0; i < n; i += 1000) {
    const { edge: next, full } = extend(edge, leaves.slice(i, i + 1000));
    edge = next;
    for (const { level, n: index, hashes } of full) tiles.set(`${level}/${index}`, hashes);
  }
  const node = nodeFromTiles((level, index) => tiles.get(`${level}/${index}`) ?? (edge.tiles[level] as Uint8Array));
  root = rootAt(n, node);
  if (!verifyInclusion(leaves[at] as Uint8Array, at, n, inclusionPath(at, n, node), root))
    throw new Error('the proof fails');
  keep = tiles;
} else {
  const tree = new MerkleTree(leaves, (data: Buffer) => createHash('sha256').update(data).digest());
  root = tree.getRoot();
  const leaf = leaves[at] as Buffer;
  if (!tree.verify(tree.getProof(leaf, at), leaf, root as Buffer)) throw new Error('the proof fails');
  keep = tree;
}
const seconds = (performance.now() - started) / 1000;
collect();
const after = process.memoryUsage();
const bytes = after.heapUsed + after.external - before.heapUsed - before.external;
console.log(JSON.stringify({ seconds, bytes, root: Buffer.from(root).toString('hex'), keep: keep !== undefined }));
