/**
 * What the clock is worth: by the kernel's own word (adjtimex(2) of mode 0, which sets nothing), by the marks of time
 * services, and, where a server is named, by asking it (SNTP, RFC 4330).
 */
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import koffi from 'koffi';
import { SYNCHRONIZED } from '../intake/clock.ts';
import { bad, type Finding, ok, warn } from './finding.ts';

const TIME_ERROR = 5;
const STA_UNSYNC = 0x40;
/** struct timex is 208 bytes on 64-bit Linux: modes at 0, then longs from 8 on; status after four of them. */
const TIMEX_BYTES = 208;
const MAXERROR_AT = 24;
const STATUS_AT = 40;

const NTP_PORT = 123;
const NTP_EPOCH_S = 2_208_988_800;
const ASK_MS = 3_000;
/** A device's reading of a full hour may be minutes off; a token lives for minutes. */
const WARN_MS = 1_000;
const BAD_MS = 30_000;

/** @returns undefined where the kernel is not asked (no 64-bit Linux) */
export function kernelClock(): { synced: boolean; maxErrorMs: number } | undefined {
  try {
    const timex = Buffer.alloc(TIMEX_BYTES);
    const adjtimex = koffi.load(null).func('int adjtimex(uint8_t *)') as unknown as (buffer: Buffer) => number;
    const state = adjtimex(timex);
    if (state < 0) return undefined;
    const status = timex.readInt32LE(STATUS_AT);
    const synced = state !== TIME_ERROR && (status & STA_UNSYNC) === 0;
    return { synced, maxErrorMs: Number(timex.readBigInt64LE(MAXERROR_AT)) / 1000 };
  } catch {
    return undefined;
  }
}

/** How far our clock is ahead of the server's, ms. @throws Error where it does not answer, or is not synced itself */
export async function askServer(server: string, timeoutMs = ASK_MS): Promise<{ aheadMs: number; delayMs: number }> {
  const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(server) ?? [];
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    const request = Buffer.alloc(48);
    request[0] = 0x23; // version 4, client
    const sentMs = Date.now();
    const sentAt = performance.now();
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer in time')), timeoutMs);
      timer.unref();
      socket.once('error', reject);
      socket.once('message', (message) => {
        clearTimeout(timer);
        resolve(message);
      });
      socket.send(request, Number(port ?? NTP_PORT), host, (error) => error && reject(error));
    });
    const delayMs = performance.now() - sentAt;
    const stratum = answer[1] ?? 0;
    if (answer.length < 48 || ((answer[0] as number) & 7) !== 4) throw new Error('its answer is not of NTP');
    if (stratum === 0 || stratum > 15 || (answer[0] as number) >> 6 === 3) throw new Error('it is not synced itself');
    const at = (offset: number): number =>
      (answer.readUInt32BE(offset) - NTP_EPOCH_S) * 1000 + (answer.readUInt32BE(offset + 4) / 2 ** 32) * 1000;
    const [received, sent] = [at(32), at(40)];
    return { aheadMs: -((received - sentMs + (sent - (sentMs + delayMs))) / 2), delayMs };
  } finally {
    socket.close();
  }
}

/** @param stated `clock.source` of the config */
export async function examineClock(
  stated: 'system' | 'synced' | 'unsynced',
  server: string | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const kernel = kernelClock();
  const mark = SYNCHRONIZED.find((path) => existsSync(path));
  const said = [
    kernel
      ? `the kernel says ${kernel.synced ? `synced, at most ${kernel.maxErrorMs.toFixed(0)} ms off` : 'not synced'}`
      : 'the kernel was not asked',
    mark ? `${mark} is there` : 'no time service has left its mark in /run',
  ].join('; ');
  if (stated !== 'system')
    findings.push(
      warn(
        'clock',
        `clock.source states it is ${stated}, whatever the machine says (${said})`,
        'Set clock.source to system, unless a receiver on this box sets the clock.',
      ),
    );
  else if (mark) findings.push(ok('clock', said));
  else
    findings.push(
      warn(
        'clock',
        `${said}: the gateway will not believe it`,
        kernel?.synced
          ? 'Certificates wait for a mark of systemd-timesyncd, chrony or ntpd in /run: use one of them, or state clock.source: synced.'
          : 'Install chrony or enable systemd-timesyncd (timedatectl set-ntp true), and let port 123/udp out. Until then readings are taken, and certificates wait.',
      ),
    );
  if (server !== undefined)
    try {
      const { aheadMs, delayMs } = await askServer(server);
      const off = `${Math.abs(aheadMs).toFixed(0)} ms ${aheadMs > 0 ? 'ahead of' : 'behind'} ${server} (asked in ${delayMs.toFixed(0)} ms)`;
      const state = Math.abs(aheadMs) - delayMs / 2;
      const todo = 'Set it: chronyc makestep, or timedatectl set-ntp true; then look again.';
      findings.push(
        state > BAD_MS
          ? bad('clock offset', off, todo)
          : state > WARN_MS
            ? warn('clock offset', off, todo)
            : ok('clock offset', off),
      );
    } catch (error) {
      findings.push(
        warn(
          'clock offset',
          `${server}: ${(error as Error).message}`,
          'Name a server that answers on 123/udp (--ntp HOST[:PORT]).',
        ),
      );
    }
  return findings;
}
