import { words } from '../words.ts';

export default words({ title: 'Certificate' }, { title: '인증서' });
