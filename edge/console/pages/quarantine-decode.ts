/**
 * Bytes from quarantine, decoded as far as they can be. The strict decoders (edge/wire) say no at the first flaw; who
 * has to decide about the bytes wants to see what is around it. So this one takes any CBOR (RFC 8949) and stops only
 * where nothing more can be told, and says where. It judges nothing: what was wrong is in the reason beside it.
 * Pure, and bounded: so many nodes and levels, whatever the bytes say.
 */
export type Kind = 'uint' | 'nint' | 'bytes' | 'text' | 'array' | 'map' | 'tag' | 'simple' | 'float';
export type Node = {
  kind: Kind;
  /** Byte offsets, the second not included. */
  at: number;
  end: number;
  /** Of a number, text or simple value; of a tag its number. In diagnostic notation (RFC 8949 section 8). */
  value: string;
  /** Number or text as it is, where it is one. */
  plain?: number | string | undefined;
  raw?: Uint8Array | undefined;
  /** Items; of a map its keys and values by turns. */
  items: Node[];
  /** Of a byte string: the CBOR in it, where it is to hold some. */
  inner?: Node | undefined;
  /** What the name of this key is in an envelope. */
  note?: string | undefined;
};
/** ends: the bytes end early. reserved: a form that means nothing. deep, many: over our own bounds. after: bytes follow. */
export type Stop = { at: number; why: 'ends' | 'reserved' | 'deep' | 'many' | 'after' };
/** undefined: it could not be read. Seconds, W, Wh as they stand there. */
export type Facts = {
  alg?: string | undefined;
  iss?: string | undefined;
  sub?: string | undefined;
  iat?: number | undefined;
  epoch?: number | undefined;
  seq?: number | undefined;
  signatureBytes?: number | undefined;
  records: { n: string; u: string; v: string; t: string }[];
};
export type Decoded =
  | { form: 'cbor'; root: Node | undefined; stop: Stop | undefined; facts: Facts }
  | { form: 'json'; text: string; facts: Facts }
  | { form: 'text'; text: string }
  | { form: 'bytes' };

const MAX_LEVELS = 24;
const MAX_NODES = 5000;

class Halt extends Error {
  readonly stop: Stop;
  constructor(stop: Stop) {
    super(stop.why);
    this.stop = stop;
  }
}

class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #nodes = 0;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** What was read of an item before a halt stays in `into`. */
  item(level: number, into: Node[]): void {
    const at = this.at;
    if (level > MAX_LEVELS) throw new Halt({ at, why: 'deep' });
    if (++this.#nodes > MAX_NODES) throw new Halt({ at, why: 'many' });
    const initial = this.bytes[at];
    if (initial === undefined) throw new Halt({ at, why: 'ends' });
    const major = initial >> 5;
    const info = initial & 31;
    if (info > 27 && info < 31) throw new Halt({ at, why: 'reserved' });
    const node: Node = { kind: 'uint', at, end: at, value: '', items: [] };
    if (major === 7) this.#simple(node, info);
    else {
      const isOpen = info === 31;
      if (isOpen && (major < 2 || major === 6)) throw new Halt({ at, why: 'reserved' });
      const n = isOpen ? undefined : this.#argument(info);
      if (major === 2 || major === 3) {
        node.kind = major === 2 ? 'bytes' : 'text';
        node.raw = n === undefined ? this.#chunks(major, node) : this.#take(n, node, into);
        this.#write(node);
      } else if (major === 4 || major === 5) {
        node.kind = major === 4 ? 'array' : 'map';
        into.push(node);
        if (isOpen) this.at++;
        const count = n === undefined ? undefined : n * BigInt(major === 5 ? 2 : 1);
        for (let i = 0n; count === undefined || i < count; i++) {
          if (count === undefined && this.bytes[this.at] === 0xff) {
            this.at++;
            break;
          }
          this.item(level + 1, node.items);
        }
        node.end = this.at;
        return;
      } else if (major === 6) {
        node.kind = 'tag';
        node.value = String(n);
        into.push(node);
        this.item(level + 1, node.items);
        node.end = this.at;
        return;
      } else {
        node.kind = major === 0 ? 'uint' : 'nint';
        const value = major === 0 ? (n as bigint) : -1n - (n as bigint);
        node.value = String(value);
        if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) node.plain = Number(value);
      }
    }
    node.end = this.at;
    into.push(node);
  }

  #argument(info: number): bigint {
    const head = this.at;
    if (info < 24) {
      this.at = head + 1;
      return BigInt(info);
    }
    const width = 1 << (info - 24);
    if (head + 1 + width > this.bytes.length) throw new Halt({ at: head, why: 'ends' });
    this.at = head + 1 + width;
    let n = 0n;
    for (const byte of this.bytes.subarray(head + 1, this.at)) n = (n << 8n) | BigInt(byte);
    return n;
  }

  /** Where less is there than the length says, what is there is shown. */
  #take(n: bigint, node: Node, into: Node[]): Uint8Array {
    const start = this.at;
    const left = BigInt(this.bytes.length - start);
    if (n > left) {
      node.raw = this.bytes.subarray(start);
      node.end = this.bytes.length;
      this.#write(node);
      into.push(node);
      throw new Halt({ at: this.bytes.length, why: 'ends' });
    }
    this.at = start + Number(n);
    return this.bytes.subarray(start, this.at);
  }

  #chunks(major: number, node: Node): Uint8Array {
    this.at++;
    const parts: Uint8Array[] = [];
    while (this.bytes[this.at] !== 0xff) {
      const initial = this.bytes[this.at];
      if (initial === undefined) throw new Halt({ at: this.at, why: 'ends' });
      if (initial >> 5 !== major || (initial & 31) > 27) throw new Halt({ at: this.at, why: 'reserved' });
      if (++this.#nodes > MAX_NODES) throw new Halt({ at: this.at, why: 'many' });
      parts.push(this.#take(this.#argument(initial & 31), node, []));
    }
    this.at++;
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  }

  #simple(node: Node, info: number): void {
    node.kind = 'simple';
    if (info === 31) throw new Halt({ at: this.at, why: 'reserved' });
    const n = Number(this.#argument(info));
    if (info < 25) node.value = { 20: 'false', 21: 'true', 22: 'null', 23: 'undefined' }[n] ?? `simple(${n})`;
    else {
      node.kind = 'float';
      const at = node.at + 1;
      const value =
        info === 25 ? this.#view.getFloat16(at) : info === 26 ? this.#view.getFloat32(at) : this.#view.getFloat64(at);
      node.value = Object.is(value, -0) ? '-0.0' : Number.isInteger(value) ? `${value}.0` : String(value);
      node.plain = value;
    }
  }

  #write(node: Node): void {
    const raw = node.raw as Uint8Array;
    if (node.kind === 'bytes') return;
    node.plain = new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw);
    node.value = JSON.stringify(node.plain);
  }
}

function read(bytes: Uint8Array): { root: Node | undefined; stop: Stop | undefined } {
  const reader = new Reader(bytes);
  const into: Node[] = [];
  try {
    reader.item(0, into);
    const stop: Stop | undefined = reader.at < bytes.length ? { at: reader.at, why: 'after' } : undefined;
    return { root: into[0], stop };
  } catch (error) {
    if (!(error instanceof Halt)) throw error;
    return { root: into[0], stop: error.stop };
  }
}

const HEADERS: Record<string, string> = { 1: 'alg', 3: 'content format', 4: 'kid', 15: 'CWT claims' };
const CLAIMS: Record<string, string> = { 1: 'iss', 2: 'sub', 3: 'aud', 4: 'exp', 5: 'nbf', 6: 'iat', 7: 'cti' };
/** RFC 8428 section 6. */
const SENML: Record<string, string> = {
  ...{ [-1]: 'bver', [-2]: 'bn', [-3]: 'bt', [-4]: 'bu', [-5]: 'bv', [-6]: 'bs' },
  ...{ 0: 'n', 1: 'u', 2: 'v', 3: 'vs', 4: 'vb', 5: 's', 6: 't', 7: 'ut', 8: 'vd' },
};
const ALGS: Record<string, string> = { '-8': 'EdDSA', '-19': 'Ed25519', '-9': 'ESP256', '-7': 'ES256' };

/** Notes the names of a map's keys. Answers its values by those names, the first of each. */
function named(map: Node | undefined, names: Record<string, string>): Record<string, Node | undefined> {
  const found: Record<string, Node | undefined> = {};
  if (map?.kind !== 'map') return found;
  for (let i = 0; i < map.items.length; i += 2) {
    const key = map.items[i] as Node;
    const name = key.kind === 'text' ? undefined : names[key.value];
    if (name === undefined) continue;
    key.note = name;
    found[name] ??= map.items[i + 1];
  }
  return found;
}

/** The CBOR in a byte string, with offsets of the whole. */
function inside(node: Node | undefined): Node | undefined {
  if (node?.kind !== 'bytes' || !node.raw?.length) return undefined;
  const { root } = read(node.raw);
  if (!root || (root.kind !== 'map' && root.kind !== 'array')) return undefined;
  const from = node.end - node.raw.length;
  const shift = (n: Node): void => {
    n.at += from;
    n.end += from;
    n.items.forEach(shift);
  };
  shift(root);
  node.inner = root;
  return root;
}

const text = (node: Node | undefined): string | undefined =>
  node?.kind === 'text' ? (node.plain as string) : undefined;
const number = (node: Node | undefined): number | undefined =>
  typeof node?.plain === 'number' ? node.plain : undefined;
const any = (node: Node | undefined): string =>
  node === undefined
    ? ''
    : (text(node) ?? (node.kind === 'bytes' ? `h'${hex(node.raw ?? new Uint8Array())}'` : node.value));

function records(pack: Node | undefined): Facts['records'] {
  if (pack?.kind !== 'array') return [];
  return pack.items.flatMap((item) => {
    const { n, u, v, vs, vb, vd, t } = named(item, SENML);
    return item.kind === 'map' ? [{ n: any(n), u: any(u), v: any(v ?? vs ?? vb ?? vd), t: any(t) }] : [];
  });
}

/** What an envelope says, as far as it has the form of one; or a pack without one. */
function factsOf(root: Node | undefined): Facts {
  const body = root?.kind === 'tag' ? root.items[0] : root;
  const [head, , payload, signature] = body?.kind === 'array' ? body.items : [];
  if (head?.kind !== 'bytes') return { records: records(body) };
  const headers = named(inside(head), HEADERS);
  const claims = named(headers['CWT claims'], CLAIMS);
  const cti = claims.cti?.kind === 'bytes' && claims.cti.raw?.length === 8 ? claims.cti.raw : undefined;
  const view = cti && new DataView(cti.buffer, cti.byteOffset, 8);
  const alg = headers.alg?.value;
  return {
    alg: alg === undefined ? undefined : ALGS[alg] ? `${ALGS[alg]} (${alg})` : alg,
    iss: text(claims.iss),
    sub: text(claims.sub),
    iat: number(claims.iat),
    epoch: view?.getUint32(0),
    seq: view?.getUint32(4),
    signatureBytes: signature?.kind === 'bytes' ? signature.raw?.length : undefined,
    records: records(inside(payload)),
  };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** What is written to be read, all of it. */
function plainText(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return /[\p{Cc}\p{Cn}]/u.test(text.replace(/[\r\n\t]/g, '')) ? undefined : text;
  } catch {
    return undefined;
  }
}

function factsOfJson(value: unknown): Facts {
  if (!Array.isArray(value)) return { records: [] };
  const said = (v: unknown): string => (v === undefined ? '' : typeof v === 'string' ? v : JSON.stringify(v));
  return {
    records: value.flatMap((item: unknown) => {
      if (typeof item !== 'object' || item === null) return [];
      const { n, u, v, vs, vb, vd, t } = item as Record<string, unknown>;
      return [{ n: said(n), u: said(u), v: said(v ?? vs ?? vb ?? vd), t: said(t) }];
    }),
  };
}

export function decodeRefused(bytes: Uint8Array): Decoded {
  if (bytes.length === 0) return { form: 'bytes' };
  const first = bytes.find((byte) => byte > 0x20);
  if (first === 0x5b || first === 0x7b) {
    const value = jsonOf(bytes);
    if (value !== undefined) return { form: 'json', text: JSON.stringify(value, null, 2), facts: factsOfJson(value) };
  }
  const plain = plainText(bytes);
  if (plain !== undefined) return { form: 'text', text: plain };
  const { root, stop } = read(bytes);
  // A stray byte is always some CBOR: what is one small value before other bytes is none.
  if (root === undefined || (root.items.length === 0 && stop?.why === 'after')) return { form: 'bytes' };
  return { form: 'cbor', root, stop, facts: factsOf(root) };
}

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

export type Line = { depth: number; at: number; text: string; note?: string | undefined };
const MAX_LINES = 600;
const SHOWN_BYTES = 48;

/** Diagnostic notation, a line for each item that holds no other. At most {@link MAX_LINES} lines. */
export function linesOf(root: Node): { lines: Line[]; cut: boolean } {
  const lines: Line[] = [];
  const put = (depth: number, at: number, text: string, note?: string): void => {
    if (lines.length < MAX_LINES) lines.push({ depth, at, text, ...(note === undefined ? {} : { note }) });
  };
  const walk = (node: Node, depth: number, before: string, after: string, note?: string): void => {
    if (lines.length >= MAX_LINES) return;
    const group = (open: string, close: string, items: () => void): void => {
      put(depth, node.at, before + open, note);
      items();
      put(depth, node.end, close + after);
    };
    const comma = (i: number, all: number): string => (i < all - 1 ? ',' : '');
    if (node.inner) group('<<', '>>', () => walk(node.inner as Node, depth + 1, '', ''));
    else if (node.kind === 'array' && node.items.length > 0)
      group('[', ']', () => {
        for (const [i, item] of node.items.entries()) walk(item, depth + 1, '', comma(i, node.items.length));
      });
    else if (node.kind === 'map' && node.items.length > 0)
      group('{', '}', () => {
        for (let i = 0; i < node.items.length; i += 2) {
          const key = node.items[i] as Node;
          const value = node.items[i + 1];
          const name = leaf(key);
          if (value) walk(value, depth + 1, `${name}: `, comma(i, node.items.length - 1), key.note);
          else put(depth + 1, key.at, `${name}: …`, key.note);
        }
      });
    else if (node.kind === 'tag') {
      const [item] = node.items;
      if (item) walk(item, depth, `${before}${node.value}(`, `)${after}`, note);
      else put(depth, node.at, `${before}${node.value}(…)${after}`, note);
    } else put(depth, node.at, before + leaf(node) + after, note);
  };
  walk(root, 0, '', '');
  return { lines, cut: lines.length >= MAX_LINES };
}

function leaf(node: Node): string {
  switch (node.kind) {
    case 'bytes': {
      const raw = node.raw ?? new Uint8Array();
      return raw.length > SHOWN_BYTES ? `h'${hex(raw.subarray(0, SHOWN_BYTES))}…' (${raw.length})` : `h'${hex(raw)}'`;
    }
    case 'array':
      return '[]';
    case 'map':
      return '{}';
    default:
      return node.value;
  }
}

/** As hexdump has them, 16 to a line. @param limit bytes */
export function dump(bytes: Uint8Array, limit = 4096): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, limit); at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, limit));
    const digits = Array.from(row, (b) => b.toString(16).padStart(2, '0')).join(' ');
    const print = Array.from(row, (b) => (b > 0x1f && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${digits.padEnd(47)}  ${print}`);
  }
  return lines.join('\n');
}
