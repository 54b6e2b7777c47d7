/**
 * Archives that `tar tf` reads (POSIX.1-1988 ustar; sizes from 8 GiB on in GNU's base 256): regular files alone, with mode
 * and time. Written and read as streams, so that no file need fit in memory.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { EdgeError } from '../errors.ts';

const BLOCK = 512;
const MAX_NAME = 100;
const ZEROS = Buffer.alloc(BLOCK);

export type Member = { name: string; size: number; mode: number; mtimeMs: number };

function header({ name, size, mode, mtimeMs }: Member): Buffer {
  const block = Buffer.alloc(BLOCK);
  let short = name;
  if (Buffer.byteLength(name) > MAX_NAME) {
    // The prefix has its own place: up to 155 bytes before a slash.
    const cut = name.lastIndexOf('/', 155);
    short = name.slice(cut + 1);
    if (cut < 1 || Buffer.byteLength(short) > MAX_NAME)
      throw new EdgeError('BACKUP_INVALID', `too long a name: ${name}`);
    block.write(name.slice(0, cut), 345);
  }
  const octal = (value: number, at: number, digits: number) =>
    block.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'ascii');
  block.write(short, 0);
  octal(mode & 0o7777, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  if (size < 8 ** 11) octal(size, 124, 11);
  else {
    block.writeBigUInt64BE(BigInt(size), 128);
    block[124] = 0x80;
  }
  octal(Math.floor(mtimeMs / 1000), 136, 11);
  block.fill(' ', 148, 156);
  block.write('0', 156);
  block.write('ustar\u000000', 257, 'ascii');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'ascii');
  return block;
}

export class TarWriter {
  readonly #file: Awaited<ReturnType<typeof open>>;

  private constructor(file: Awaited<ReturnType<typeof open>>) {
    this.#file = file;
  }

  /** A new file of mode 0600. */
  static async create(path: string): Promise<TarWriter> {
    return new TarWriter(await open(path, 'wx', 0o600));
  }

  /**
   * @param content bytes, or the path of a file that nobody changes meanwhile
   * @returns its SHA-256 in hex
   */
  async add(member: Member, content: Buffer | string): Promise<string> {
    await this.#write(header(member));
    const hash = createHash('sha256');
    let written = 0;
    for await (const chunk of typeof content === 'string' ? createReadStream(content) : [content]) {
      hash.update(chunk as Buffer);
      written += (chunk as Buffer).length;
      await this.#write(chunk as Buffer);
    }
    if (written !== member.size)
      throw new EdgeError('BACKUP_INVALID', `${member.name} changed its size while it was copied`);
    await this.#write(ZEROS.subarray(0, (BLOCK - (written % BLOCK)) % BLOCK));
    return hash.digest('hex');
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) at += (await this.#file.write(bytes, at)).bytesWritten;
  }

  /** Resolves when all of it is on disk. */
  async finish(): Promise<void> {
    await this.#write(ZEROS);
    await this.#write(ZEROS);
    await this.#file.sync();
    await this.#file.close();
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }
}

const text = (block: Buffer, at: number, length: number): string => {
  const end = block.indexOf(0, at);
  return block.toString('utf8', at, end < 0 || end > at + length ? at + length : end);
};

/**
 * Reads an archive to its end.
 * @param take is given each member and where to get its bytes; what it does not read is skipped
 * @throws EdgeError BACKUP_INVALID
 */
export async function readTar(
  path: string,
  take: (member: Member, content: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const file = await open(path, 'r').catch((error: Error) => {
    throw new EdgeError('BACKUP_INVALID', `${path}: ${error.message}`);
  });
  try {
    const end = (await file.stat()).size;
    const block = Buffer.alloc(BLOCK);
    for (let at = 0; ; ) {
      if ((await file.read(block, 0, BLOCK, at)).bytesRead < BLOCK)
        throw new EdgeError('BACKUP_INVALID', `${path} ends in the middle, at byte ${at}`);
      at += BLOCK;
      if (block.equals(ZEROS)) return;
      const sum = Number.parseInt(text(block, 148, 8).trim(), 8);
      let found = 8 * 32;
      for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) found += block[i] as number;
      if (sum !== found) throw new EdgeError('BACKUP_INVALID', `${path}: no header of tar at byte ${at - BLOCK}`);
      const size =
        block[124] === 0x80 ? Number(block.readBigUInt64BE(128)) : Number.parseInt(text(block, 124, 12).trim(), 8);
      if (!Number.isSafeInteger(size) || size < 0 || at + size > end)
        throw new EdgeError('BACKUP_INVALID', `${path} ends in the middle of ${text(block, 0, MAX_NAME)}`);
      const prefix = text(block, 345, 155);
      const member = {
        name: (prefix === '' ? '' : `${prefix}/`) + text(block, 0, MAX_NAME),
        size,
        mode: Number.parseInt(text(block, 100, 8).trim(), 8),
        mtimeMs: Number.parseInt(text(block, 136, 12).trim(), 8) * 1000,
      };
      const type = block[156];
      if (type !== 0x30 && type !== 0) throw new EdgeError('BACKUP_INVALID', `${member.name} is no regular file`);
      const from = at;
      await take(member, bytesOf(file, from, size));
      at = from + Math.ceil(size / BLOCK) * BLOCK;
    }
  } finally {
    await file.close();
  }
}

async function* bytesOf(file: Awaited<ReturnType<typeof open>>, from: number, size: number): AsyncIterable<Buffer> {
  for (let at = 0; at < size; ) {
    const chunk = Buffer.alloc(Math.min(1024 * 1024, size - at));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, from + at);
    if (bytesRead === 0) throw new EdgeError('BACKUP_INVALID', 'the file became shorter while it was read');
    at += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}
