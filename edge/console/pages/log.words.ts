import { words } from '../words.ts';

export default words({ title: 'Log' }, { title: '기록' });
