/** What people see of a run: one block that is redrawn on a terminal, a line now and then elsewhere. */
import type { Counts, Progress } from './run.ts';

const REDRAW_MS = 500;
const LINE_MS = 5000;

type Stream = { isTTY?: boolean; columns?: number; write: (text: string) => unknown };

export class Display {
  readonly #stream: Stream;
  #timer: NodeJS.Timeout | undefined;
  #drawn = 0;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  start(progress: () => Progress): void {
    const tty = this.#stream.isTTY === true;
    this.#timer = setInterval(
      () => {
        if (tty) this.#redraw(block(progress()));
        else this.#stream.write(`${line(progress())}\n`);
      },
      tty ? REDRAW_MS : LINE_MS,
    );
    this.#timer.unref();
  }

  /** A line that stays, above the block. */
  say(text: string): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #redraw(lines: readonly string[]): void {
    this.#erase();
    const width = this.#stream.columns || 80;
    this.#stream.write(lines.map((text) => `${text.slice(0, width - 1)}\n`).join(''));
    this.#drawn = lines.length;
  }

  /** Up, and clear to the end of the screen (ECMA-48 CUU, ED). */
  #erase(): void {
    if (this.#drawn > 0) this.#stream.write(`\x1b[${this.#drawn}A\x1b[0J`);
    this.#drawn = 0;
  }
}

const codes = (refused: Record<string, number>): string =>
  Object.entries(refused)
    .map(([code, n]) => `${code} ${n}`)
    .join(', ');

function block(p: Progress): string[] {
  const lines = [`sejong-sim ${p.scenario} · seed ${p.seed} · ${p.phase} · ${Math.round(p.seconds)} s`];
  for (const [kind, { online, devices }] of Object.entries(p.kinds))
    lines.push(`  ${kind.padEnd(12)} ${online}/${devices} online`);
  lines.push(
    `  ${'envelopes'.padEnd(12)} ${p.sent} sent, ${p.acked} acknowledged, ${p.resent} resent, ${p.buffered} buffered`,
  );
  if (p.hostile.sent > 0)
    lines.push(`  ${'hostile'.padEnd(12)} ${p.hostile.sent} sent, ${p.hostile.acked} acknowledged`);
  if (Object.keys(p.refused).length > 0) lines.push(`  ${'refused'.padEnd(12)} ${codes(p.refused)}`);
  if (p.missed > 0) lines.push(`  ${'missed'.padEnd(12)} ${p.missed} samples, the buffer was full`);
  if (p.line !== '') lines.push(`  ${'line'.padEnd(12)} ${p.line}`);
  return lines;
}

const line = (p: Progress): string =>
  [
    `${Math.round(p.seconds)} s ${p.phase}:`,
    Object.entries(p.kinds)
      .map(([kind, { online, devices }]) => `${kind} ${online}/${devices}`)
      .join(' '),
    `| sent ${p.sent} acked ${p.acked} resent ${p.resent} buffered ${p.buffered}`,
    ...(Object.keys(p.refused).length > 0 ? [`| refused ${codes(p.refused)}`] : []),
    ...(p.line === '' ? [] : [`| line: ${p.line}`]),
  ].join(' ');

/** For people; the JSON line comes after it. */
export function summary(c: Counts, state: string): string[] {
  const lines = [
    `${c.devices} devices, ${c.seconds} s: ${c.sent} sent, ${c.acked} acknowledged, ${c.resent} resent, ${c.buffered} buffered`,
  ];
  if (c.hostile.sent > 0)
    lines.push(`hostile: ${c.hostile.sent} sent, ${c.hostile.acked} acknowledged, ${c.hostile.bad} to be refused`);
  if (Object.keys(c.refused).length > 0) lines.push(`refused: ${codes(c.refused)}`);
  if (c.honestRefused > 0)
    lines.push(
      `${c.honestRefused} envelopes of honest devices were refused${
        c.refused.REPLAY || c.refused.EQUIVOCATION
          ? ': a seed with a new state folder is an old device whose counter was reset; use the folder that goes with it'
          : ''
      }`,
    );
  if (c.missed > 0) lines.push(`${c.missed} samples were not taken: a buffer or the disk was full`);
  if (c.buffered > 0)
    lines.push(`${c.buffered} envelopes were not acknowledged; what has a journal is kept in ${state}`);
  return lines;
}
