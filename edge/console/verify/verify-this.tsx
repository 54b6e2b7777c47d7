/** "Verify this": a panel of a page that has something to verify. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api.ts';
import { href } from '../router.ts';
import { Panel, Problem } from '../ui/page.tsx';
import { useWords } from '../words.ts';
import type * as Verifier from './file.ts';
import { type Run, run } from './run.ts';
import { Verification } from './steps.tsx';
import { askGateway, trust } from './trust.ts';
import table from './verify.words.ts';

/**
 * @param load fetches what is to be verified, and answers how its steps are planned; for files:
 *   `async (signal) => (v, trust) => v.planFiles([{ name, bytes }], trust)`
 * @param controls beside the button
 */
export function VerifyThis(props: {
  title?: string;
  hint?: string;
  controls?: ComponentChildren;
  load: (signal: AbortSignal) => Promise<(verifier: typeof Verifier, trust: Verifier.Trust) => Verifier.Group[]>;
}) {
  const w = useWords(table);
  const [state, setState] = useState<Run | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const current = useRef(new AbortController());
  useEffect(() => () => current.current.abort(), []);
  const verify = async (): Promise<void> => {
    current.current.abort();
    const stop = new AbortController();
    current.current = stop;
    setError(undefined);
    setState({ state: 'running', groups: [] });
    try {
      await askGateway();
      const believed = trust.value;
      if (!believed)
        throw new ApiError({ code: 'CONSOLE', title: w.noTrust, detail: '', todo: w.noTrustHere, status: 0 });
      const plan = await props.load(stop.signal);
      await run((verifier) => plan(verifier, believed), believed.chain !== undefined, setState, stop.signal);
    } catch (e) {
      if (stop.signal.aborted) return;
      setState(undefined);
      setError(e as ApiError);
    }
  };
  return (
    <Panel
      title={props.title ?? w.this}
      hint={props.hint ?? w.thisHint}
      class="verify-this"
      actions={
        <>
          {props.controls}
          <button type="button" class="button primary" onClick={() => void verify()}>
            {state ? w.again : w.this}
          </button>
        </>
      }
    >
      <Problem error={error} />
      {state && <Verification run={state} reading={false} />}
      <p class="muted">
        <a href={href('verify')}>{w.toTrust}</a>
      </p>
    </Panel>
  );
}
