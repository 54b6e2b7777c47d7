import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './now.words.ts';

export default function Now() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
