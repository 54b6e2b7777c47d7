/** Who opens the console: with a one-time code (from a link, or typed), or with a token. */
import { useEffect, useState } from 'preact/hooks';
import { ApiError, get, post } from './api.ts';
import { useDeed } from './query.ts';
import { go, href, route } from './router.ts';
import { ended, readToken, type Session, session, signIn } from './session.ts';
import table from './sign-in.words.ts';
import { Field, Problem } from './ui/index.ts';
import { useWords } from './words.ts';

const byCode = async (code: string): Promise<void> => signIn(await post<Session>('/session', { code }));

async function byToken(token: string, words: { title: string; todo: string }): Promise<void> {
  const read = readToken(token);
  if (!read) throw new ApiError({ code: 'TOKEN_INVALID', ...words, detail: '', status: 0 });
  const before = session.value;
  session.value = read; // so that the question below is asked with it
  try {
    await get('/session');
  } catch (error) {
    session.value = before;
    throw error;
  }
  signIn(read);
}

export function SignIn() {
  const w = useWords(table);
  const deed = useDeed();
  const [text, setText] = useState('');
  const code = route.value.page === 'sign-in' ? route.value.params[0] : undefined;
  const { run } = deed;
  useEffect(() => {
    if (!code) return;
    // A code is good once: it does not stay in the address, nor in the history.
    go('#/now', true);
    void run(() => byCode(code));
  }, [code, run]);
  const submit = (event: Event): void => {
    event.preventDefault();
    const what = text.trim().replace(/^.*#\/sign-in\//, '');
    void run(() => (what.includes('.') ? byToken(what, { title: w.notToken, todo: w.notTokenTodo }) : byCode(what)));
  };
  const why = ended.value;
  return (
    <main class="sign-in" id="content">
      <div class="sign-in-card">
        <h1>
          <img src="icon.svg" alt="" width="40" height="40" />
          Sejong Edge
        </h1>
        <p class="lead">{w.lead}</p>
        {why && !deed.error && (
          <p class="note" role="status">
            {w[why]}
          </p>
        )}
        <form onSubmit={submit}>
          <Field label={w.label} hint={w.hint}>
            <input
              class="input"
              name="code"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              required
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </Field>
          <button type="submit" class="button primary" disabled={deed.busy}>
            {deed.busy ? w.signingIn : w.button}
          </button>
        </form>
        <Problem error={deed.error} />
        <h2>{w.how}</h2>
        <p>{w.howText}</p>
        <pre>
          <code>sejong-edge console --role operator</code>
        </pre>
        <p class="muted">{w.howRole}</p>
        <p>
          <a href={href('verify')}>{w.verify}</a>
        </p>
      </div>
    </main>
  );
}
