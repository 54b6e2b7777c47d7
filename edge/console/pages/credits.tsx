import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './credits.words.ts';

export default function Credits() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
