/** What the host and its Node-RED process tell each other: lines of JSON over a pipe of their own (descriptor 4). */
export const CHANNEL_FD = 4;
/** Both ways nothing is longer: a longer line is cut, and is no message then. */
export const MAX_LINE = 65_536;

/** From the host, once. What is secret comes this way, and so stands in no environment and no file that a flow can read. */
export type Begin = {
  userDir: string;
  nodesDirs: string[];
  host: string;
  port: number;
  /** Where the port is taken, any free one will do. */
  anyPort: boolean;
  safeMode: boolean;
  passwordHash: string;
  credentialSecret: string;
};

/** From the Node-RED process. */
export type Told =
  /** That its loop still turns, about once a second. */
  | { tell: 'alive'; pid: number }
  | { tell: 'listening'; port: number; version: string }
  /** Whether the flows run: not in safe mode, until somebody deploys. */
  | { tell: 'flows'; state: 'started' | 'stopped' }
  | { tell: 'log'; level: 'info' | 'warn'; text: string }
  /** That it wrote a file, which is to be on the disk before long: the process itself may not see to that. */
  | { tell: 'wrote' }
  /** Why it ends now, and whether a flow may be why: a port that is taken is no flow's fault. */
  | { tell: 'dying'; why: string; byFlow: boolean };

/** Cuts a stream into lines, none longer than `most` bytes: of a longer one the rest is left out. */
export function lineCutter(most: number, line: (text: string) => void): (bytes: Buffer) => void {
  let held: Buffer[] = [];
  let size = 0;
  const keep = (bytes: Buffer): void => {
    const part = bytes.subarray(0, Math.max(0, most - size));
    if (part.length > 0) held.push(part);
    size += part.length;
  };
  return (bytes) => {
    for (let from = 0; ; ) {
      const end = bytes.indexOf(10, from);
      keep(bytes.subarray(from, end < 0 ? undefined : end));
      if (end < 0) return;
      line(Buffer.concat(held).toString('utf8'));
      held = [];
      size = 0;
      from = end + 1;
    }
  };
}
