import { words } from '../words.ts';

export default words({ title: 'People' }, { title: '사용자' });
