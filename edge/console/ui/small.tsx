/** Small things that stand within text: badges, times, identifiers, figures with a trend. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';
import { clock, DASH, duration, ends, utc } from '../format.ts';
import { useWords } from '../words.ts';
import { Icon } from './icon.tsx';
import { Sparkline } from './sparkline.tsx';
import ui from './ui.words.ts';

export type State = 'good' | 'warn' | 'bad' | 'info' | 'idle';
const SIGNS: Record<State, string> = { good: '✓', warn: '!', bad: '✕', info: 'i', idle: '–' };

/** What is so little ago is now: nobody reads seconds that change with each look. */
const JUST_NOW_S = 5;

/** A state: a colour, a sign and a word. */
export const Badge = (props: { state: State; children: ComponentChildren; title?: string }) => (
  <span class={`badge ${props.state}`} title={props.title}>
    <span class="sign" aria-hidden="true">
      {SIGNS[props.state]}
    </span>
    {props.children}
  </span>
);

/** Korean time, UTC where one points at it. `ago` says how long ago instead, and goes on counting. */
export function Time(props: { ms: number | null | undefined; ago?: boolean }) {
  const w = useWords(ui);
  const [, tick] = useState(0);
  const { ms, ago } = props;
  useEffect(() => {
    if (!ago || ms === null || ms === undefined) return;
    const timer = setInterval(() => tick((n) => n + 1), Date.now() - ms < 90_000 ? 1000 : 20_000);
    return () => clearInterval(timer);
  }, [ago, ms]);
  if (ms === null || ms === undefined) return <>{DASH}</>;
  const seconds = (Date.now() - ms) / 1000;
  return (
    <time dateTime={new Date(ms).toISOString()} title={ago ? `${clock(ms)} · ${utc(ms)}` : utc(ms)}>
      {ago ? (seconds < JUST_NOW_S ? w.justNow : w.ago(duration(Math.floor(seconds)))) : clock(ms)}
    </time>
  );
}

/** A DID, hash or address by its ends; whole where one points at it, and to be copied. */
export function Id(props: { value: string; head?: number; tail?: number; copy?: boolean }) {
  const w = useWords(ui);
  const [copied, setCopied] = useState(false);
  return (
    <span class="id">
      <code title={props.value}>{ends(props.value, props.head ?? 10, props.tail ?? 6)}</code>
      {props.copy !== false && navigator.clipboard && (
        <button
          type="button"
          class="copy"
          onClick={() => void navigator.clipboard.writeText(props.value).then(() => setCopied(true))}
          onBlur={() => setCopied(false)}
          aria-label={`${copied ? w.copied : w.copy}: ${props.value}`}
        >
          {copied ? '✓' : <Icon name="copy" size={14} />}
        </button>
      )}
    </span>
  );
}

/**
 * A figure at a glance.
 * @param value already in words (format.ts); @param why what a dash means, or what the figure is
 * @param spark the figure of the last minutes; null where it was not known
 */
export function Stat(props: {
  label: string;
  value: ComponentChildren;
  unit?: string;
  state?: State;
  why?: ComponentChildren;
  href?: string;
  spark?: readonly (number | null)[];
  /** The trend begins at 0. */
  zero?: boolean;
  /** Of a point of the trend, for who hears it. */
  format?: (n: number) => string;
}) {
  const body = (
    <>
      <span class="stat-label">{props.label}</span>
      <span class="stat-value">
        {props.value}
        {props.unit && <small> {props.unit}</small>}
      </span>
      {props.why && <span class="stat-why">{props.why}</span>}
      {props.spark && (
        <Sparkline
          label={props.label}
          values={props.spark}
          format={props.format}
          state={props.state}
          zero={props.zero}
        />
      )}
    </>
  );
  const name = `stat ${props.state ?? ''}`;
  return props.href ? (
    <a class={name} href={props.href}>
      {body}
    </a>
  ) : (
    <div class={name}>{body}</div>
  );
}

/** How full something is, 0 to 1. */
export const Bar = (props: { part: number; state?: State; label: string }) => (
  // biome-ignore lint/a11y/useSemanticElements: browsers let nobody style their own
  <span
    class={`bar ${props.state ?? ''}`}
    role="meter"
    aria-label={props.label}
    aria-valuemin={0}
    aria-valuemax={100}
    aria-valuenow={Math.round(props.part * 100)}
  >
    <span style={{ inlineSize: `${Math.min(100, Math.max(0, props.part * 100))}%` }} />
  </span>
);

/** A choice of few: radio buttons that look like one switch. */
export function Segments<V extends string>(props: {
  label: string;
  value: V;
  options: readonly { value: V; label: ComponentChildren; title?: string }[];
  onChange: (value: V) => void;
}) {
  const group = useId();
  return (
    <fieldset class="segments">
      <legend class="hidden">{props.label}</legend>
      {props.options.map((o) => (
        <label key={o.value} title={o.title}>
          <input type="radio" name={group} checked={o.value === props.value} onChange={() => props.onChange(o.value)} />
          <span>{o.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
