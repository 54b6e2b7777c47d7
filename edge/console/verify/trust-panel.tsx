/** What the auditor believes, to be seen and to be changed. */
import { useEffect } from 'preact/hooks';
import { Panel } from '../ui/page.tsx';
import { Badge } from '../ui/small.tsx';
import { useWords } from '../words.ts';
import { askChain, askGateway, fields, flaw, type Field as Name, setField } from './trust.ts';
import table from './verify.words.ts';

const FROM = { own: 'info', file: 'idle', gateway: 'idle', none: 'warn' } as const;

export function TrustPanel() {
  const w = useWords(table);
  useEffect(() => void askGateway(), []);
  return (
    <Panel title={w.trust} hint={w.trustHint}>
      <div class="trust">
        <TrustField name="key" label={w.key} hint={w.keyHint} />
        <TrustField name="contract" label={w.contract} hint={w.contractHint} />
        <TrustField name="rpc" label={w.rpc} hint={w.rpcHint} />
        <label class="trust-ask">
          <input
            type="checkbox"
            checked={askChain.value}
            onChange={(event) => {
              askChain.value = event.currentTarget.checked;
            }}
          />
          {w.askChain}
        </label>
        <details open={fields.value.witnesses.value !== ''}>
          <summary>{w.witnesses}</summary>
          <div class="trust">
            <TrustField name="witnesses" label={w.witnessKeys} hint={w.witnessHint} lines />
            <TrustField name="quorum" label={w.quorum} hint={w.quorumHint} />
          </div>
        </details>
      </div>
    </Panel>
  );
}

function TrustField(props: { name: Name; label: string; hint: string; lines?: boolean }) {
  const w = useWords(table);
  const { name, label, hint } = props;
  const { value, from } = fields.value[name];
  const wrong = flaw.value[name];
  const common = {
    id: `trust-${name}`,
    class: 'input mono',
    value,
    spellcheck: false,
    autocomplete: 'off' as const,
    'aria-describedby': `trust-${name}-hint`,
    'aria-invalid': wrong !== undefined,
    onInput: (event: { currentTarget: { value: string } }) => setField(name, event.currentTarget.value),
  };
  return (
    <div class="field">
      <span class="trust-label">
        <label class="field-label" for={`trust-${name}`}>
          {label}
        </label>
        <Badge state={FROM[from]}>{w[from]}</Badge>
        {from === 'own' && (
          <button type="button" class="button quiet small" onClick={() => setField(name, undefined)}>
            {w.reset} <span class="hidden">{label}</span>
          </button>
        )}
      </span>
      {props.lines ? <textarea rows={3} {...common} /> : <input type="text" {...common} />}
      <span class={`field-hint ${wrong ? 'wrong' : ''}`} id={`trust-${name}-hint`}>
        {wrong ? (
          <>
            <span aria-hidden="true">✕ </span>
            {w[wrong]}{' '}
          </>
        ) : null}
        {hint}
      </span>
    </div>
  );
}
