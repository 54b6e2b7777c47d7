import { expect, it } from 'vitest';
import { badLoginsBesideGood, floodBesideOthers, idleConnections, reconnectStorm } from './load.ts';

// The large forms (10,000, 2,000, ...) are node test/load/main.ts; here only counts are held to anything, never times.

it('500 idle connections are all held, and a device beside them is served', async () => {
  const { counts, lost } = await idleConnections(500);
  expect(counts).toMatchObject({ tried: 500, loggedIn: 500, connected: 500, open: 500, acked: 100 });
  expect(lost).toBe(0);
});

it('200 devices that come back at once after the gateway was killed are all served, and nothing is lost', async () => {
  const { counts, lost } = await reconnectStorm(200);
  expect(counts).toMatchObject({ before: 200, back: 200, refused: 0, acked: 400 });
  expect(lost).toBe(0);
});

it('a device that floods is slowed, and each envelope of the others is acknowledged', async () => {
  const { counts, lost } = await floodBesideOthers(30);
  expect(counts.acked).toBe(counts.expected);
  expect(counts.malformed).toBe(0);
  expect(lost).toBe(0);
});

it('a storm of bad logins keeps no good one out, and is refused unchecked after its first', async () => {
  const { counts, lost } = await badLoginsBesideGood(15);
  expect(counts.good).toBe(counts.expected);
  expect(counts.refused).toBeGreaterThanOrEqual(counts.unchecked as number);
  expect(lost).toBe(0);
});
