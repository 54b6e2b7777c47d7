/** What the kernel knows of a process (proc(5)). */
import { readFileSync } from 'node:fs';

const field = (file: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? Number.NaN);

/** Resident memory, in MB (10^6 bytes). */
export const residentMb = (pid: number): number => (field(`/proc/${pid}/status`, 'VmRSS') * 1024) / 1e6;

/** Bytes that it has caused to be written to storage. */
export const writtenBytes = (pid: number): number => field(`/proc/${pid}/io`, 'write_bytes');
