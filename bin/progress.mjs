// One step of work on the terminal: a spinner where somebody watches, plain lines elsewhere. On standard error, so that
// standard output is the command's own.
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** Runs `work`, which is handed a function for its latest line, and tells how long it took. */
export async function step(title, work, out = process.stderr) {
  const started = performance.now();
  const seconds = () => `${Math.round((performance.now() - started) / 1000)} s`;
  const live = out.isTTY === true && process.env.TERM !== 'dumb';
  let latest = '';
  let frame = 0;
  const draw = () => {
    const text = `${FRAMES[frame++ % FRAMES.length]} ${title} … ${seconds()}  ${latest}`;
    out.write(`\r\x1b[2K${text.slice(0, (out.columns ?? 80) - 1)}`);
  };
  if (!live) out.write(`${title} …\n`);
  const timer = live ? setInterval(draw, 100) : undefined;
  try {
    const result = await work((line) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must go.
      latest = line.replace(/[\x00-\x1f\x7f]/g, ' ');
    });
    out.write(`${live ? '\r\x1b[2K' : ''}✓ ${title} (${seconds()})\n`);
    return result;
  } catch (error) {
    out.write(`${live ? '\r\x1b[2K' : ''}✗ ${title} (${seconds()})\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
