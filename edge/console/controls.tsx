import { post } from './api.ts';
import table from './main.words.ts';
import { session, signOut } from './session.ts';
import { setTheme, type Theme, theme } from './theme.ts';
import { Icon } from './ui/icon.tsx';
import { Segments } from './ui/small.tsx';
import { type Lang, lang, setLang, useWords } from './words.ts';

/** The token is good for nothing from then on. Where the gateway cannot be asked, it is at least forgotten here. */
async function leave(): Promise<void> {
  await post('/session/end').catch(() => undefined);
  signOut();
}

/** Language, theme, and the way out. */
export function Controls() {
  const w = useWords(table);
  const who = session.value;
  return (
    <div class="controls">
      <Segments<Lang>
        label={w.language}
        value={lang.value}
        options={[
          { value: 'ko', label: <span lang="ko">한국어</span> },
          { value: 'en', label: <span lang="en">English</span> },
        ]}
        onChange={setLang}
      />
      <Segments<Theme>
        label={w.theme}
        value={theme.value}
        options={[
          { value: 'auto', label: w.auto },
          { value: 'light', label: w.light },
          { value: 'dark', label: w.dark },
        ]}
        onChange={setTheme}
      />
      {who ? (
        <div class="who">
          <span class="who-name" title={who.name}>
            {who.name} <small>{w[who.role]}</small>
          </span>
          <button type="button" class="button quiet small" onClick={() => void leave()}>
            <Icon name="out" size={16} />
            {w.signOut}
          </button>
        </div>
      ) : null}
    </div>
  );
}
