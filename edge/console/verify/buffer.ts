/** Buffer for a browser; esbuild puts it wherever the shared code says Buffer. */
export { Buffer } from 'buffer/';
