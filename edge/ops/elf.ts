/** What machine a binary is for, by its first bytes (ELF header, gABI chapter 4). */
import { closeSync, openSync, readSync } from 'node:fs';

const MACHINES: Record<number, string> = { 3: 'i386', 40: 'arm', 62: 'amd64', 183: 'arm64' };
/** PE, and Mach-O in its four byte orders and as a universal binary. */
const FOREIGN = ['4d5a', 'feedface', 'feedfacf', 'cefaedfe', 'cffaedfe', 'cafebabe'];

/**
 * @param head at least 20 bytes of the file
 * @returns Debian's name of the machine, "other" for binaries of other systems, undefined for what is no binary
 */
export function machineOf(head: Uint8Array): string | undefined {
  const hex = Buffer.from(head.subarray(0, 4)).toString('hex');
  if (hex === '7f454c46') {
    const machine = head[5] === 2 ? ((head[18] ?? 0) << 8) | (head[19] ?? 0) : ((head[19] ?? 0) << 8) | (head[18] ?? 0);
    return MACHINES[machine] ?? 'other';
  }
  return FOREIGN.some((magic) => hex.startsWith(magic)) ? 'other' : undefined;
}

export function machineOfFile(path: string): string | undefined {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(20);
    return machineOf(head.subarray(0, readSync(file, head)));
  } finally {
    closeSync(file);
  }
}
