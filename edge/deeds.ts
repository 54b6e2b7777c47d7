/**
 * What was done to a data folder while its gateway did not run, a line of JSON each, until the gateway runs and writes
 * an entry for each of them.
 */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export type OfflineDeed = { action: string; on: string; detail: Record<string, string | number | null> };

const FILE = 'deeds.jsonl';

export function writeDeed(dataFolder: string, deed: OfflineDeed): void {
  appendFileSync(
    join(dataFolder, FILE),
    `${JSON.stringify({ ...deed, detail: { ...deed.detail, offlineMs: Date.now() } })}\n`,
    {
      mode: 0o600,
      flush: true,
    },
  );
}

/** @param say makes each durable; one that was said before a power cut may be said again */
export async function sayDeeds(dataFolder: string, say: (deed: OfflineDeed) => Promise<void>): Promise<void> {
  const path = join(dataFolder, FILE);
  if (!existsSync(path)) return;
  for (const line of readFileSync(path, 'utf8').split('\n'))
    if (line !== '') await say(JSON.parse(line) as OfflineDeed);
  rmSync(path);
}
