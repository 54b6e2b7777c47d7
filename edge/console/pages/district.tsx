import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './district.words.ts';

export default function District() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
