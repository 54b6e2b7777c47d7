import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { useWords } from '../words.ts';
import { Icon } from './icon.tsx';
import { Problem } from './page.tsx';
import ui from './ui.words.ts';

/**
 * A modal dialog (the browser's own: focus stays in it, Escape closes it, and the focus goes back).
 * With `onSubmit` it is a form, whose main button says `submit`; it stays open until the caller closes it.
 */
export function Dialog(props: {
  open: boolean;
  title: string;
  onClose: () => void;
  onSubmit?: () => void;
  /** Of the main button. */
  submit?: string;
  /** The deed takes something away. */
  danger?: boolean;
  busy?: boolean;
  disabled?: boolean;
  error?: ApiError | undefined;
  wide?: boolean;
  children?: ComponentChildren;
}) {
  const w = useWords(ui);
  const box = useRef<HTMLDialogElement>(null);
  const title = useId();
  useEffect(() => {
    const { current } = box;
    if (!current) return;
    if (props.open && !current.open) current.showModal();
    if (!props.open && current.open) current.close();
  }, [props.open]);
  const content = (
    <>
      <div class="dialog-body">
        {props.children}
        <Problem error={props.error} />
      </div>
      {props.onSubmit && (
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={props.onClose}>
            {w.cancel}
          </button>
          <button
            type="submit"
            class={`button primary ${props.danger ? 'danger' : ''}`}
            disabled={props.busy || props.disabled}
          >
            {props.submit ?? w.confirm}
          </button>
        </footer>
      )}
    </>
  );
  return (
    <dialog ref={box} class={props.wide ? 'wide' : ''} aria-labelledby={title} onClose={props.onClose}>
      {props.open && (
        <>
          <header class="dialog-head">
            <h2 id={title}>{props.title}</h2>
            <button type="button" class="button quiet square" aria-label={w.close} onClick={props.onClose}>
              <Icon name="close" />
            </button>
          </header>
          {props.onSubmit ? (
            <form
              onSubmit={(event) => {
                event.preventDefault();
                props.onSubmit?.();
              }}
            >
              {content}
            </form>
          ) : (
            content
          )}
        </>
      )}
    </dialog>
  );
}

/** A label above its control, and a sentence below. */
export function Field(props: { label: string; hint?: ComponentChildren; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label class="field">
      <span class="field-label">{props.label}</span>
      {props.children}
      {props.hint && <span class="field-hint">{props.hint}</span>}
    </label>
  );
}
