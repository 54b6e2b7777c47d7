/** A tree whose tiles lie elsewhere, and are not believed: whoever asks for a proof checks what it leads to. Pure. */
import { EdgeError } from '../errors.ts';
import type { NodeReader } from './merkle.ts';
import { HASH_BYTES } from './sha256.ts';
import { hashesAtLevel, nodeFromTiles, TILE_WIDTH } from './tile.ts';

/** Answers `width` hashes of a tile (C2SP tlog-tiles), or throws. */
export type TileSource = (level: number, n: number, width: number) => Promise<Uint8Array>;

/**
 * Runs `use` again and again, each time with the tile that it wanted last.
 * @throws EdgeError LOG_UNREADABLE
 */
export async function withTiles<T>(size: number, source: TileSource, use: (node: NodeReader) => T): Promise<T> {
  const tiles = new Map<string, Uint8Array>();
  for (;;) {
    let wanted: [number, number] | undefined;
    try {
      return use(
        nodeFromTiles((level, n) => {
          const tile = tiles.get(`${level}/${n}`);
          if (tile) return tile;
          wanted = [level, n];
          throw new Error('wanted');
        }),
      );
    } catch (error) {
      if (!wanted) throw error;
    }
    const [level, n] = wanted;
    const width = Math.min(TILE_WIDTH, hashesAtLevel(size, level) - n * TILE_WIDTH);
    const tile = await source(level, n, width);
    if (tile.length !== width * HASH_BYTES)
      throw new EdgeError('LOG_UNREADABLE', `tile ${n} of level ${level} has ${tile.length} bytes`);
    tiles.set(`${level}/${n}`, tile);
  }
}
