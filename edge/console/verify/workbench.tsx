/** Files in, verdict out. Works with the gateway off: nothing is asked but a node of the chain. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { bytes as size } from '../format.ts';
import { Icon } from '../ui/icon.tsx';
import { Panel } from '../ui/page.tsx';
import { Badge } from '../ui/small.tsx';
import { useWords } from '../words.ts';
import type { Kind, Named } from './file.ts';
import { MAX_BUNDLE, type Run, run as verify } from './run.ts';
import { Verification } from './steps.tsx';
import steps from './steps.words.ts';
import { trust } from './trust.ts';
import { TrustPanel } from './trust-panel.tsx';
import { verifier } from './verifier.ts';
import table from './verify.words.ts';
import './verify.css';

/** Files at once: three receipts with their openings, and some. */
const MAX_FILES = 16;
type Given = Named & { kind: Kind };

/** @param first files to begin with, from another page */
export function Workbench({ first = [] }: { first?: readonly Named[] }) {
  const w = useWords(table);
  const [files, setFiles] = useState<readonly Given[]>([]);
  const [gap, setGap] = useState(false);
  const [run, setRun] = useState<Run | undefined>(undefined);
  const [refused, setRefused] = useState('');
  const current = useRef(new AbortController());
  const believed = trust.value;

  const add = async (more: readonly Named[]): Promise<void> => {
    const module = await verifier();
    setFiles((old) =>
      [...old, ...more.map((file) => ({ ...file, kind: module.kindOf(file.bytes) }))].slice(-MAX_FILES),
    );
  };
  const take = async (list: Iterable<File>): Promise<void> => {
    const taken = [...list].slice(0, MAX_FILES);
    const tooLarge = taken.find((file) => file.size > MAX_BUNDLE);
    setRefused(tooLarge ? w.tooLarge(tooLarge.name, size(MAX_BUNDLE)) : '');
    if (tooLarge) return;
    await add(
      await Promise.all(taken.map(async (f) => ({ name: f.name, bytes: new Uint8Array(await f.arrayBuffer()) }))),
    );
  };
  useEffect(() => {
    if (first.length > 0) void add(first);
    return () => current.current.abort();
  }, []);

  // Again whenever what is believed or what is given changes; of a key that is being typed only when it rests.
  useEffect(() => {
    current.current.abort();
    const stop = new AbortController();
    current.current = stop;
    if (files.length === 0 || !believed) {
      setRun(undefined);
      return;
    }
    setRun({ state: 'running', groups: [] }); // no verdict about what was believed before
    const together = gap && canBeGap(files);
    const start = (): void =>
      void verify((v) => v.planFiles(files, believed, together), believed.chain !== undefined, setRun, stop.signal);
    const timer = setTimeout(start, 50);
    return () => clearTimeout(timer);
  }, [files, gap, believed]);

  return (
    <div class="workbench">
      <div class="workbench-side">
        <Panel title={w.files} hint={w.filesHint}>
          <Drop onFiles={(list) => void take(list)} />
          <Paste onText={(text) => void add([{ name: w.pasted, bytes: new TextEncoder().encode(text) }])} />
          {refused && (
            <p class="note" role="alert">
              {refused}
            </p>
          )}
          {files.length > 0 && (
            <ul class="v-files" aria-label={w.files}>
              {files.map((file) => (
                <li key={`${file.name} ${file.bytes.length}`}>
                  <span class="v-files-name">{file.name}</span>
                  <Kindred kind={file.kind} />
                  <span class="muted num">{size(file.bytes.length)}</span>
                  <button
                    type="button"
                    class="button quiet square small"
                    aria-label={`${w.remove}: ${file.name}`}
                    title={w.remove}
                    onClick={() => setFiles(files.filter((f) => f !== file))}
                  >
                    <Icon name="close" size={16} />
                  </button>
                </li>
              ))}
            </ul>
          )}
          {canBeGap(files) && (
            <label class="trust-ask">
              <input type="checkbox" checked={gap} onChange={(event) => setGap(event.currentTarget.checked)} />
              {w.gap}
            </label>
          )}
        </Panel>
        <TrustPanel />
      </div>
      <Panel title={w.result} class="workbench-result">
        {run ? (
          <Verification run={run} />
        ) : (
          <div class="empty">
            <p class="empty-title">{files.length === 0 ? w.nothing : w.noTrust}</p>
            <p>{files.length === 0 ? w.nothingWhy : w.noTrustWhy}</p>
          </div>
        )}
      </Panel>
    </div>
  );
}

const RECEIPTS: readonly Kind[] = ['json', 'tlog-proof', 'cose', 'calldata'];
const canBeGap = (files: readonly Given[]): boolean => files.filter(({ kind }) => RECEIPTS.includes(kind)).length === 3;

function Kindred({ kind }: { kind: Kind }) {
  const w = useWords(steps);
  return <Badge state="info">{w[`kind.${kind}`]}</Badge>;
}

function Drop({ onFiles }: { onFiles: (files: Iterable<File>) => void }) {
  const w = useWords(table);
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  // A file that misses the box would else take the page away.
  useEffect(() => {
    const stop = (event: DragEvent): void => event.preventDefault();
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      setOver(false);
      if (event.dataTransfer?.files.length) onFiles(event.dataTransfer.files);
    };
    addEventListener('dragover', stop);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', stop);
      removeEventListener('drop', drop);
    };
  }, [onFiles]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside is the way without a pointer
    <div class={`v-drop ${over ? 'over' : ''}`} onDragEnter={() => setOver(true)} onDragLeave={() => setOver(false)}>
      <p>{w.drop}</p>
      <button type="button" class="button primary" onClick={() => input.current?.click()}>
        {w.choose}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        class="hidden"
        tabIndex={-1}
        aria-label={w.choose}
        onChange={(event) => {
          onFiles(event.currentTarget.files ?? []);
          event.currentTarget.value = '';
        }}
      />
    </div>
  );
}

function Paste({ onText }: { onText: (text: string) => void }) {
  const w = useWords(table);
  const [text, setText] = useState('');
  return (
    <details class="v-paste">
      <summary>{w.paste}</summary>
      <textarea
        class="input mono"
        rows={5}
        value={text}
        spellcheck={false}
        aria-label={w.paste}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button
        type="button"
        class="button small"
        disabled={text === ''}
        onClick={() => {
          onText(text);
          setText('');
        }}
      >
        {w.pasteDo}
      </button>
    </details>
  );
}
