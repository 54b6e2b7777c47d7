/** A verification as it runs: each step with what it checked, on which bytes, and what came of it. */

import type { Envelope } from '../../wire/envelope.ts';
import { clock, number } from '../format.ts';
import { Fact, Facts } from '../ui/page.tsx';
import { Badge, type State } from '../ui/small.tsx';
import { lang, useWords } from '../words.ts';
import { detailIn } from './detail.words.ts';
import { Hex } from './hex.tsx';
import type { GroupRun, Line, LineState, Run } from './run.ts';
import table from './steps.words.ts';
import './steps.css';

const SIGNS: Record<LineState, string> = {
  waiting: '·',
  running: '…',
  ok: '✓',
  failed: '✕',
  skipped: '–',
  unreached: '–',
};

type Words = (typeof table)['en'];
const word = (w: Words, key: string): string => (w as unknown as Record<string, string>)[key] ?? key;

/** @param reading whether what the entry says is shown below; not where the page says it already */
export function Verification({ run, reading = true }: { run: Run; reading?: boolean }) {
  const w = useWords(table);
  const several = run.groups.length > 1;
  return (
    <div class="v-verification">
      <Verdict run={run} />
      {run.groups.map((group, i) => (
        <section key={`${i} ${group.title}`} class="v-verification-group" aria-label={group.title || w.steps}>
          {(several || group.title) && (
            <h3>
              {group.gap ? w.gapTitle : group.title}
              {!group.gap && <span class="muted"> · {word(w, `kind.${group.kind}`)}</span>}
            </h3>
          )}
          <Steps lines={group.lines} />
          {reading && !group.gap && run.state !== 'running' && <Reading group={group} />}
        </section>
      ))}
    </div>
  );
}

/** The whole in one line, which is read aloud when it changes. */
function Verdict({ run }: { run: Run }) {
  const w = useWords(table);
  const lines = run.groups.flatMap((g) => g.lines);
  const failed = lines.find((l) => l.state === 'failed');
  const asked = !lines.some((l) => l.name === 'anchored root' && l.state === 'skipped');
  const state = run.state === 'ok' && !asked ? 'partly' : run.state;
  return (
    <div class={`v-verdict ${state}`} role="status" data-state={run.state}>
      <span class="v-verdict-sign" aria-hidden="true">
        {{ running: '…', ok: '✓', partly: '✓', failed: '✕', refused: '!' }[state]}
      </span>
      <div>
        <p class="v-verdict-word">
          {
            { running: w.checking, ok: w.holds, partly: w.holdsWithoutChain, failed: w.fails, refused: w.refused }[
              state
            ]
          }
        </p>
        {failed && <p>{w.failsAt(word(w, failed.name))}</p>}
        {run.refusal && <p>{run.refusal}</p>}
      </div>
    </div>
  );
}

function Steps({ lines }: { lines: readonly Line[] }) {
  const w = useWords(table);
  return (
    <ol class="v-steps">
      {lines.map((line, i) => (
        <li key={line.name} class={`v-step ${line.state}`} data-step={line.name} data-state={line.state}>
          <span class="v-step-sign" aria-hidden="true">
            {SIGNS[line.state]}
          </span>
          <div class="v-step-body">
            <p class="v-step-title">
              <span class="hidden">{w.stepOf(i + 1, lines.length)}: </span>
              {word(w, line.name)} <span class="v-step-state">{word(w, line.state)}</span>
            </p>
            <p class="v-step-why">{word(w, `${line.name}?`)}</p>
            {line.state === 'skipped' && (
              <p class="v-step-detail">{line.name === 'device signature' ? w.sealedSkip : w.chainSkip}</p>
            )}
            {line.detail && <p class="v-step-detail">{detailIn(lang.value, line.detail)}</p>}
            {line.shown.length > 0 && <Looked line={line} />}
          </div>
        </li>
      ))}
    </ol>
  );
}

function Looked({ line }: { line: Line }) {
  const w = useWords(table);
  const count = line.shown.reduce((sum, { value }) => sum + value.length, 0);
  return (
    <details class="v-looked">
      <summary>
        {w.what} <span class="muted">({w.bytesOf(count)})</span>
      </summary>
      {line.shown.map(({ what, value }, i) => {
        const label = word(w, `shown.${what}`);
        return (
          <div key={i} class="v-looked-item">
            <p class="v-looked-label">
              {label} <span class="muted">{typeof value === 'string' ? '' : w.bytesOf(value.length)}</span>
            </p>
            {typeof value === 'string' ? <pre class="v-hex wrap">{value}</pre> : <Hex bytes={value} label={label} />}
          </div>
        );
      })}
    </details>
  );
}

function Reading({ group }: { group: GroupRun }) {
  const w = useWords(table);
  const { claim, envelope } = group.found;
  if (!claim) return null;
  const failed = group.lines.some((l) => l.state === 'failed');
  return (
    <div class="v-reading">
      <h4>
        {w.reading} {failed && <Badge state="bad">{w.unproven}</Badge>}
      </h4>
      {envelope ? <ReadingFacts index={claim.index} envelope={envelope} /> : <p class="muted">{w.noReading}</p>}
    </div>
  );
}

/** An envelope's claims and records. */
export function ReadingFacts({ index, envelope }: { index: number; envelope: Envelope }) {
  const w = useWords(table);
  const { iss, sub, iat, epoch, seq, records } = envelope;
  return (
    <>
      <Facts>
        <Fact label={w.entry}>{number(index)}</Fact>
        <Fact label={w.subject}>
          <code>{sub}</code>
        </Fact>
        <Fact label={w.device}>
          <code>{iss}</code>
        </Fact>
        <Fact label={w.deviceTime}>{iat < 8_640_000_000_000 ? clock(iat * 1000) : iat}</Fact>
        <Fact label={w.counter}>
          {epoch}/{seq}
        </Fact>
      </Facts>
      <Records records={records} />
    </>
  );
}

export type Shows = {
  n: string;
  u?: string;
  t?: number;
  v?: number;
  vs?: string;
  vb?: boolean;
  vd?: Uint8Array | string;
};

export function Records({ records }: { records: readonly Shows[] }) {
  const w = useWords(table);
  return (
    <table class="v-records">
      <caption class="hidden">{w.reading}</caption>
      <thead>
        <tr>
          <th scope="col">{w.name}</th>
          <th scope="col" class="end">
            {w.value}
          </th>
          <th scope="col">{w.unit}</th>
        </tr>
      </thead>
      <tbody>
        {records.map((r) => (
          <tr key={`${r.n} ${r.t ?? ''}`}>
            <th scope="row">
              <code>{r.n}</code>
              {r.t !== undefined && (
                <small class="muted"> {r.t >= 2 ** 28 ? clock(r.t * 1000) : `+${number(r.t)} s`}</small>
              )}
            </th>
            <td class="end">{textOf(r)}</td>
            <td>{r.u ?? ''}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function textOf({ v, vs, vb, vd }: Shows): string {
  if (v !== undefined) return number(v, 9);
  if (vs !== undefined) return vs;
  if (vb !== undefined) return String(vb);
  return typeof vd === 'string' ? vd : Array.from(vd ?? [], (b) => b.toString(16).padStart(2, '0')).join('');
}

/** For a badge beside a verification that is not open. */
export const badgeOf = (state: Run['state']): State =>
  (({ running: 'info', ok: 'good', failed: 'bad', refused: 'warn' }) as const)[state];
