/** People: tokens, devices that are expected, and what operators did. For operators alone. */
import { go, href, route } from '../router.ts';
import { Page, Segments } from '../ui/index.ts';
import { useWords } from '../words.ts';
import words from './people.words.ts';
import { Audit } from './people-audit.tsx';
import { Claims } from './people-claims.tsx';
import { Tokens } from './people-tokens.tsx';
import './common.css';
import './people.css';

const PARTS = ['tokens', 'claims', 'audit'] as const;
type Part = (typeof PARTS)[number];

export default function People() {
  const w = useWords(words);
  const asked = route.value.query.get('show');
  const part: Part = PARTS.find((p) => p === asked) ?? 'tokens';
  return (
    <Page
      title={w.title}
      lead={w.lead}
      actions={
        <Segments
          label={w.show}
          value={part}
          options={PARTS.map((value) => ({ value, label: w[value] }))}
          onChange={(value) => go(`${href('people')}?show=${value}`, true)}
        />
      }
    >
      {part === 'tokens' && <Tokens />}
      {part === 'claims' && <Claims />}
      {part === 'audit' && <Audit />}
    </Page>
  );
}
