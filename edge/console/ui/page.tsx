/** What pages are made of: the page itself with its heading, panels, and words for nothing and for errors. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { errorWords } from '../error-words.ts';
import { lang, useWords } from '../words.ts';
import ui from './ui.words.ts';

/**
 * A page. Its heading gets the focus when the page is opened, so that a reader hears where it is.
 * @param back a link above the heading: `{ href, label }`
 * @param actions buttons beside the heading
 */
export function Page(props: {
  title: string;
  /** One sentence below the heading. */
  lead?: ComponentChildren;
  back?: { href: string; label: string };
  actions?: ComponentChildren;
  children?: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    document.title = `${props.title} · Sejong Edge`;
  }, [props.title]);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          {props.back && (
            <a class="back" href={props.back.href}>
              <span aria-hidden="true">‹ </span>
              {props.back.label}
            </a>
          )}
          <h1 ref={heading} tabIndex={-1}>
            {props.title}
          </h1>
          {props.lead && <p class="lead">{props.lead}</p>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.children}
    </div>
  );
}

/** A card. `flush` lets a table or chart reach its edges. */
export function Panel(props: {
  title?: ComponentChildren;
  /** Small print beside the title. */
  hint?: ComponentChildren;
  actions?: ComponentChildren;
  flush?: boolean;
  class?: string;
  children?: ComponentChildren;
}) {
  return (
    <section class={`panel ${props.flush ? 'flush' : ''} ${props.class ?? ''}`}>
      {(props.title || props.actions) && (
        <header class="panel-head">
          <h2>{props.title}</h2>
          {props.hint && <span class="hint">{props.hint}</span>}
          {props.actions && <div class="actions">{props.actions}</div>}
        </header>
      )}
      {props.children}
    </section>
  );
}

/** Where there is nothing: what would be here, and how it would come. */
export const Empty = (props: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <p class="empty-title">{props.title}</p>
    {props.children && <p>{props.children}</p>}
  </div>
);

export const Loading = () => {
  const w = useWords(ui);
  return (
    <p class="loading" role="status">
      {w.loading}
    </p>
  );
};

/** What was wrong, where, and what to do. Nothing where there is no error. */
export function Problem(props: { error: ApiError | undefined; retry?: (() => void) | undefined }) {
  const w = useWords(ui);
  const { error } = props;
  if (!error) return null;
  const away = error.code === 'GATEWAY_AWAY';
  const known = errorWords(error.code, lang.value);
  const todo = away ? w.awayTodo : (known?.todo ?? error.todo);
  return (
    <div class="problem" role="alert">
      <p class="problem-title">
        <span aria-hidden="true">✕ </span>
        {away ? w.away : (known?.title ?? error.title)}
      </p>
      {error.detail && !away && <p class="problem-detail">{error.detail}</p>}
      {todo && <p>{todo}</p>}
      <p class="problem-foot">
        {!away && <code>{error.code}</code>}
        {props.retry && (
          <button type="button" class="button small" onClick={props.retry}>
            {w.retry}
          </button>
        )}
      </p>
    </div>
  );
}

/** A list of names and values. */
export const Facts = (props: { children: ComponentChildren }) => <dl class="facts">{props.children}</dl>;
export const Fact = (props: { label: ComponentChildren; children: ComponentChildren }) => (
  <div>
    <dt>{props.label}</dt>
    <dd>{props.children}</dd>
  </div>
);
