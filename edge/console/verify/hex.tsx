/** Bytes as one reads them: offset, hex, and what of it is ASCII. Long ones in part, until one asks for all. */
import { useState } from 'preact/hooks';
import { useWords } from '../words.ts';
import table from './steps.words.ts';

const ROW = 16;
const FIRST = 16 * ROW;

/** @param label names the box for who hears it */
export function Hex({ bytes, label }: { bytes: Uint8Array; label: string }) {
  const w = useWords(table);
  const [whole, setWhole] = useState(false);
  const shown = whole ? bytes : bytes.subarray(0, FIRST);
  return (
    <div class="v-hex-box">
      <section class="v-hex" aria-label={label}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that the keys must reach it */}
        <pre tabIndex={0}>{rowsOf(shown)}</pre>
      </section>
      {shown.length < bytes.length && (
        <button type="button" class="button small" onClick={() => setWhole(true)}>
          {w.all} ({w.bytesOf(bytes.length)})
        </button>
      )}
    </div>
  );
}

function rowsOf(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = bytes.subarray(at, at + ROW);
    const hex = Array.from(row, (b) => b.toString(16).padStart(2, '0')).join(' ');
    const ascii = Array.from(row, (b) => (b >= 0x20 && b <= 0x7e ? String.fromCharCode(b) : '·')).join('');
    rows.push(bytes.length > ROW ? `${at.toString(16).padStart(4, '0')}  ${hex.padEnd(ROW * 3)} ${ascii}` : hex);
  }
  return rows.join('\n');
}
