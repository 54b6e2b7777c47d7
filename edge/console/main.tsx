/** The console: one page, built by esbuild (edge/console-build.ts), served at `/`. */
import { render } from 'preact';

function App() {
  return <main>Sejong Edge</main>;
}

render(<App />, document.body);
