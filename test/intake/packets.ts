/** Packets of MQTT 3.1.1, encoded from the standard, not by the package that the broker decodes with. */

type Bytes = Uint8Array | string;
const bytes = (value: Bytes): Uint8Array => (typeof value === 'string' ? Buffer.from(value) : value);

/** MQTT 3.1.1 section 2.2.3. */
export function remainingLength(n: number): number[] {
  const out: number[] = [];
  do {
    out.push((n % 128) | (n >= 128 ? 0x80 : 0));
    n = Math.floor(n / 128);
  } while (n > 0);
  return out;
}

export const uint16 = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);
/** Section 1.5.3: two bytes of length, then the bytes, which a test may make bad on purpose. */
export const string = (value: Bytes): Uint8Array => Buffer.concat([uint16(bytes(value).length), bytes(value)]);

export function packet(first: number, ...parts: Bytes[]): Buffer {
  const body = Buffer.concat(parts.map(bytes));
  return Buffer.concat([Uint8Array.of(first, ...remainingLength(body.length)), body]);
}

export type ConnectOptions = {
  user?: Bytes;
  password?: Bytes;
  clientId?: Bytes;
  protocol?: string;
  level?: number;
  clean?: boolean;
  keepalive?: number;
  will?: { topic: Bytes; payload: Bytes; qos?: number; retain?: boolean };
  /** Added to the connect flags. */
  flags?: number;
};

/** Section 3.1. */
export function connectPacket(o: ConnectOptions): Buffer {
  const { user, password, clientId = 'raw', protocol = 'MQTT', level = 4, clean = true, keepalive = 0, will } = o;
  let flags = (o.flags ?? 0) | (clean ? 2 : 0);
  if (user !== undefined) flags |= 0x80;
  if (password !== undefined) flags |= 0x40;
  if (will) flags |= 0x04 | ((will.qos ?? 1) << 3) | (will.retain ? 0x20 : 0);
  return packet(
    0x10,
    string(protocol),
    Uint8Array.of(level, flags),
    uint16(keepalive),
    ...(level === 5 ? [Uint8Array.of(0)] : []),
    string(clientId),
    ...(will ? [...(level === 5 ? [Uint8Array.of(0)] : []), string(will.topic), string(will.payload)] : []),
    ...(user === undefined ? [] : [string(user)]),
    ...(password === undefined ? [] : [string(password)]),
  );
}

/** Section 3.3. */
export function publishPacket(
  topic: Bytes,
  payload: Bytes,
  o: { qos?: number; id?: number; retain?: boolean; dup?: boolean } = {},
): Buffer {
  const { qos = 1, id = 1, retain = false, dup = false } = o;
  const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  return packet(first, string(topic), ...(qos > 0 ? [uint16(id)] : []), payload);
}

/** Section 3.8. */
export const subscribePacket = (id: number, ...filters: Bytes[]): Buffer =>
  packet(0x82, uint16(id), ...filters.flatMap((f) => [string(f), Uint8Array.of(1)]));

export const PINGREQ = Buffer.of(0xc0, 0);
export const DISCONNECT = Buffer.of(0xe0, 0);
export const CONNACK = { accepted: '20020000', version: '20020001', refused: '20020005' } as const;
