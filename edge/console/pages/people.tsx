import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './people.words.ts';

export default function People() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
