/** Styles are imported for esbuild, which gathers them in app.css. */
declare module '*.css';
