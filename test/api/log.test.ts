import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const node = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.of(1), left, right);

/** RFC 6962 section 2.1, as it is written there. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return node(treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

/**
 * A reader of C2SP tlog-tiles over HTTP that shares no code with the log: it takes a key, fetches a checkpoint and
 * the tiles and bundles for it, and believes nothing that it has not hashed.
 */
class TilesClient {
  readonly #base: string;
  readonly #origin: string;
  readonly #keyId: Buffer;
  readonly #key: KeyObject;

  constructor(base: string, verifierKey: string) {
    this.#base = base;
    // Base64 may hold a plus of its own.
    const [, origin = '', id = '', data = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)\n$/.exec(verifierKey) ?? [];
    const bytes = Buffer.from(data, 'base64');
    expect(bytes[0]).toBe(1); // Ed25519
    this.#origin = origin;
    this.#keyId = sha256(Buffer.from(`${origin}\n`), bytes).subarray(0, 4);
    expect(this.#keyId.toString('hex')).toBe(id);
    this.#key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: bytes.subarray(1).toString('base64url') },
      format: 'jwk',
    });
  }

  async get(path: string): Promise<Buffer> {
    const answer = await fetch(`${this.#base}/log/${path}`);
    expect(answer.status, path).toBe(200);
    return Buffer.from(await answer.arrayBuffer());
  }

  async checkpoint(): Promise<{ size: number; root: Buffer }> {
    const note = (await this.get('checkpoint')).toString();
    const [text = '', signatures = ''] = note.split('\n\n');
    const lines = text.split('\n');
    expect(lines).toHaveLength(3); // no extension lines
    const [origin = '', size = '', root = ''] = lines;
    expect(origin).toBe(this.#origin);
    expect(signatures).toMatch(/^— \S+ \S+\n$/u);
    const signature = Buffer.from(signatures.trimEnd().split(' ')[2] as string, 'base64');
    expect(signature.subarray(0, 4)).toEqual(this.#keyId);
    expect(verify(null, Buffer.from(`${text}\n`), this.#key, signature.subarray(4)), 'the signature').toBe(true);
    return { size: Number(size), root: Buffer.from(root, 'base64') };
  }

  /** Tiles of a level: full ones, and the partial one at the end. Answers the hashes, or entries, in order. */
  async level(level: number | 'entries', total: number): Promise<Buffer[]> {
    const tiles: Buffer[] = [];
    for (let n = 0; n * 256 < total; n++) {
      const width = Math.min(256, total - n * 256);
      const name = String(n).padStart(3, '0'); // these logs are small
      tiles.push(await this.get(`tile/${level}/${name}${width < 256 ? `.p/${width}` : ''}`));
    }
    const all = Buffer.concat(tiles);
    const out: Buffer[] = [];
    for (let at = 0; at < all.length; ) {
      const length = level === 'entries' ? all.readUInt16BE(at) : 32;
      if (level === 'entries') at += 2;
      out.push(all.subarray(at, at + length));
      at += length;
    }
    expect(out, `level ${level} of ${total}`).toHaveLength(total);
    return out;
  }

  /** Everything under the newest checkpoint, proven. */
  async entries(): Promise<Buffer[]> {
    const { size, root } = await this.checkpoint();
    const entries = await this.level('entries', size);
    const leaves = entries.map((entry) => sha256(Buffer.of(0), entry));
    expect(await this.level(0, size)).toEqual(leaves);
    const above: Buffer[] = [];
    for (let n = 0; (n + 1) * 256 <= size; n++) above.push(Buffer.from(treeHash(leaves.slice(n * 256, (n + 1) * 256))));
    expect(await this.level(1, above.length)).toEqual(above);
    expect(Buffer.from(treeHash(leaves)).equals(root), `the root of ${size} entries`).toBe(true);
    return entries;
  }
}

const keyOf = async (gateway: TestGateway): Promise<string> => (await gateway.api('/log/key', { token: null })).text;

/** A gateway that makes checkpoints when it is told to, and a sensor that fills its log. */
async function start() {
  const gateway = await startTestGateway({ log: { checkpointSeconds: 3600, checkpointEntries: 1_000_000 } });
  const device = await new TestDevice('filling', 'sensor').enrol(gateway);
  const client = await device.connect(gateway);
  const sent: Uint8Array[] = [];
  const fillTo = async (size: number): Promise<void> => {
    const more = Array.from({ length: size - gateway.parts.log.size }, () => device.envelope());
    await Promise.all(more.map((envelope) => device.publish(client, envelope)));
    sent.push(...more);
    expect(gateway.parts.log.size).toBe(size);
  };
  const checkpoint = () => gateway.parts.log.makeCheckpoint(Date.now());
  return { gateway, device, sent, fillTo, checkpoint };
}

describe('the log over HTTP', () => {
  it('proves itself to a reader of C2SP tlog-tiles, at sizes around its tiles', async () => {
    const { gateway, sent, fillTo, checkpoint } = await start();
    const reader = new TilesClient(gateway.info.http, await keyOf(gateway));
    const genesis = await reader.entries();
    expect(genesis).toHaveLength(1);
    expect(decodeEnvelope(genesis[0] as Buffer).records).toContainEqual({ n: 'origin', vs: gateway.info.origin });
    for (const size of [2, 3, 255, 256, 257, 300, 511, 512, 513, 600]) {
      await fillTo(size);
      await checkpoint();
      const entries = await reader.entries();
      expect(entries.length).toBe(size);
      expect(Buffer.concat(entries.slice(1)).equals(Buffer.concat(sent))).toBe(true);
    }
    await gateway.finish({ verifyOneIn: 20 });
  });

  it('is the same to a reader after a restart', async () => {
    const { gateway, fillTo } = await start();
    await fillTo(300);
    const key = await keyOf(gateway);
    await gateway.finish({ verifyOneIn: 20 });
    const again = await startTestGateway({ dataFolder: gateway.config.dataFolder });
    expect(await keyOf(again)).toBe(key);
    expect((await new TilesClient(again.info.http, key).entries()).length).toBe(300);
    await again.finish({ verifyOneIn: 20 });
  });

  it('serves what is in no checkpoint to nobody', async () => {
    const { gateway, fillTo, checkpoint } = await start();
    await fillTo(3);
    const status = async (path: string) => (await gateway.api(`/log/${path}`, { token: null })).status;
    expect(await status('tile/0/000.p/1')).toBe(200);
    for (const path of ['tile/0/000.p/2', 'tile/0/000.p/3', 'tile/entries/000.p/3'])
      expect(await status(path)).toBe(404);
    await checkpoint();
    for (const path of ['tile/0/000.p/2', 'tile/0/000.p/3', 'tile/entries/000.p/3'])
      expect(await status(path)).toBe(200);
    await gateway.finish();
  });

  it('answers with the headers that caches and readers go by, and never changes a tile', async () => {
    const { gateway, fillTo, checkpoint } = await start();
    const get = (path: string) => fetch(`${gateway.info.http}/log/${path}`);
    const key = await get('key');
    expect(key.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await key.text()).toMatch(/^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}\n$/);
    const note = await get('checkpoint');
    expect(note.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(note.headers.get('cache-control')).toBe('no-cache');
    const before = new Map<string, string>();
    for (const size of [5, 256, 300]) {
      await fillTo(size);
      await checkpoint();
      for (const path of [
        `tile/0/000.p/${Math.min(size, 5)}`,
        'tile/entries/000.p/5',
        ...(size < 256 ? [] : ['tile/0/000', 'tile/1/000.p/1']),
      ]) {
        const answer = await get(path);
        expect(answer.status, path).toBe(200);
        expect(answer.headers.get('content-type'), path).toBe('application/octet-stream');
        expect(answer.headers.get('cache-control'), path).toBe('public, max-age=31536000, immutable');
        const bytes = Buffer.from(await answer.arrayBuffer()).toString('hex');
        expect(bytes, path).toBe(before.get(path) ?? bytes);
        before.set(path, bytes);
      }
    }
    await gateway.finish({ verifyOneIn: 20 });
  });

  it('has no tile by any other name', async () => {
    const { gateway, fillTo, checkpoint } = await start();
    await fillTo(260);
    await checkpoint();
    const missing = [
      // Not there in a tree of 260.
      'tile/0/001',
      'tile/0/001.p/5',
      'tile/0/002.p/1',
      'tile/1/000',
      'tile/1/000.p/2',
      'tile/1/001.p/1',
      'tile/2/000.p/1',
      'tile/63/000.p/1',
      'tile/entries/001',
      'tile/entries/001.p/5',
      'tile/0/x001/000',
      // Never written like this.
      'tile/0/0',
      'tile/0/0000',
      'tile/0/000.p/0',
      'tile/0/000.p/256',
      'tile/0/000.p/257',
      'tile/0/000.p/01',
      'tile/0/000.p/',
      'tile/0/000.p',
      'tile/0/000/',
      'tile/0/x000/000',
      'tile/0/000x',
      'tile/0/-01',
      'tile/00/000',
      'tile/-1/000',
      'tile/64/000.p/1',
      'tile/data/000',
      'tile/Entries/000',
      'tile/0/%30%30%30.p/01',
      'tile/0/..%2f..%2fcheckpoint',
      'tile/',
      'tile',
      'tiles/0/000',
      'checkpoint/',
      'Checkpoint',
      '',
    ];
    for (const path of missing) {
      const { status, body, headers } = await gateway.api(`/log/${path}`, { token: null });
      expect([status, (body as { code: string }).code], path).toEqual([404, 'NOT_FOUND']);
      expect(headers.get('cache-control'), path).toBeNull();
    }
    for (const path of ['tile/0/000', 'tile/0/001.p/4', 'tile/1/000.p/1', 'tile/entries/000', 'tile/entries/001.p/4'])
      expect((await gateway.api(`/log/${path}`, { token: null })).status, path).toBe(200);
    await gateway.finish({ verifyOneIn: 20 });
  });
});
