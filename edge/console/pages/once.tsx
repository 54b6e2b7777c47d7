/** What is shown once and kept nowhere: to be copied or scanned now. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Qr } from '../ui/qr.tsx';
import { useWords } from '../words.ts';
import words from './people.words.ts';

export function Once(props: { value: string; why: string; qr?: boolean; children?: ComponentChildren }) {
  const w = useWords(words);
  const [copied, setCopied] = useState(false);
  return (
    <div class="once">
      <strong>{w.once}</strong>
      <div class="qr-line">
        {props.qr && <Qr text={props.value} label={w.qr} />}
        <code class="secret">{props.value}</code>
      </div>
      <p>{props.why}</p>
      {navigator.clipboard && (
        <p>
          <button
            type="button"
            class="button small"
            onClick={() => void navigator.clipboard.writeText(props.value).then(() => setCopied(true))}
          >
            {copied ? `✓ ${w.copied}` : w.copy}
          </button>
        </p>
      )}
    </div>
  );
}
