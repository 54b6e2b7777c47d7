/**
 * The load generator: a process of its own that costs as little as it can. Envelopes are signed before the clock
 * starts, packets are laid out end to end, and PUBACKs are counted by their bytes.
 *
 * stdin: JSON {url, origin, devices: [{did, keyType, secretKey (hex), sub}], messages, window, rate, epoch, plain, records}
 * rate 0: as fast as the window allows. plain: no login (a bare broker).
 * stdout: JSON {messages, bytes, seconds, latencyMs: {p50, p99, max}}
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { loginToken } from '../../firmware-sim/login.ts';
import { fastSigner, type Sign } from '../../firmware-sim/signer.ts';
import type { BenchDevice } from './start.ts';

type Options = {
  url: string;
  origin: string;
  devices: BenchDevice[];
  messages: number;
  window: number;
  rate: number;
  epoch: number;
  plain: boolean;
  records: number;
};

const PUBACK_BYTES = 4;
const o = JSON.parse(readFileSync(0, 'utf8')) as Options;

const length = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...length(n >> 7)]);
const text = (s: string): Buffer => {
  const b = Buffer.from(s);
  return Buffer.concat([Buffer.from([b.length >> 8, b.length & 255]), b]);
};
const packet = (type: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type, ...length(body.length)]), body]);

function connectPacket(did: string, sign: Sign): Buffer {
  const login = o.plain ? [] : [text(did), text(loginToken(did, o.origin, sign))];
  return packet(
    0x10,
    Buffer.concat([text('MQTT'), Buffer.from([4, o.plain ? 0x02 : 0xc2, 0, 0]), text(did.slice(-16)), ...login]),
  );
}

type Line = { socket: Socket; bytes: Buffer; ends: Uint32Array; sent: number; acked: number; at: Float64Array };

let envelopeBytes = 0;

async function open(device: BenchDevice, count: number): Promise<Line> {
  const sign = fastSigner({ keyType: device.keyType, secretKey: Buffer.from(device.secretKey, 'hex') });
  const topic = text(`up/${device.did}/cose`);
  const parts: Buffer[] = [];
  const ends = new Uint32Array(count);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const claims = { iss: device.did, sub: device.sub, iat: 1_790_000_000 + i, epoch: o.epoch, seq: i };
    // The register, then the power: now, and (t) in the seconds before, as a meter that speaks once a minute would.
    const records = Array.from({ length: o.records }, (_, r) =>
      r === 0
        ? { n: '1-0:1.8.0', u: 'Wh', v: 1_000_000 + i }
        : { n: '1-0:16.7.0', u: 'W', v: 400 + r, ...(r === 1 ? {} : { t: 1 - r }) },
    );
    const envelope = encodeEnvelope(claims, records, sign);
    envelopeBytes += envelope.length;
    const id = (i % 65_535) + 1;
    const p = packet(0x32, Buffer.concat([topic, Buffer.from([id >> 8, id & 255]), envelope]));
    parts.push(p);
    end += p.length;
    ends[i] = end;
  }
  const { hostname, port } = new URL(o.url);
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  await once(socket, 'connect');
  socket.write(connectPacket(device.did, sign));
  const [connack] = (await once(socket, 'data')) as [Buffer];
  if (connack[3] !== 0) throw new Error(`CONNACK ${connack[3]}`);
  return { socket, bytes: Buffer.concat(parts), ends, sent: 0, acked: 0, at: new Float64Array(count) };
}

function send(line: Line, upTo: number): void {
  const last = Math.min(upTo, line.ends.length);
  if (last <= line.sent) return;
  const now = performance.now();
  line.at.fill(now, line.sent, last);
  line.socket.write(line.bytes.subarray(line.sent === 0 ? 0 : line.ends[line.sent - 1], line.ends[last - 1]));
  line.sent = last;
}

const each = Math.floor(o.messages / o.devices.length);
if (each === 0) throw new Error(`${o.messages} messages of ${o.devices.length} devices are none of each`);
const lines: Line[] = [];
for (const device of o.devices) lines.push(await open(device, each));
const latencies = new Float64Array(each * lines.length);
let taken = 0;
const started = performance.now();
// One after the other, so that the rate is even and not in bursts of all connections.
let next = 0;
const pace = setInterval(() => {
  if (o.rate === 0) return;
  const due = Math.min(each * lines.length, Math.floor(((performance.now() - started) / 1000) * o.rate) + 1);
  for (; next < due; next++) send(lines[next % lines.length] as Line, Math.floor(next / lines.length) + 1);
}, 2);
await Promise.all(
  lines.map(
    (line) =>
      new Promise<void>((resolve, reject) => {
        let bytes = 0;
        line.socket.on('data', (data) => {
          bytes += data.length;
          const now = performance.now();
          const acked = Math.floor(bytes / PUBACK_BYTES);
          for (; line.acked < acked; line.acked++) latencies[taken++] = now - (line.at[line.acked] as number);
          if (line.acked === each) resolve();
          else if (o.rate === 0) send(line, line.acked + o.window);
        });
        line.socket.on('close', () => reject(new Error(`closed after ${line.acked} of ${each}`)));
        if (o.rate === 0) send(line, o.window);
      }),
  ),
);
const seconds = (performance.now() - started) / 1000;
clearInterval(pace);
for (const { socket } of lines) {
  socket.removeAllListeners('close');
  socket.destroy();
}
latencies.sort();
const at = (q: number): number => latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))] as number;
console.log(
  JSON.stringify({
    messages: each * lines.length,
    bytes: envelopeBytes / (each * lines.length),
    seconds,
    latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
  }),
);
