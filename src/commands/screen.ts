/** A terminal that is drawn over and over, and left as it was found. */
import { cutEnd } from './text-width.js';

export interface Screen {
  /** Lines past the terminal's height are counted instead of shown. */
  show(text: string): void;
  close(): void;
}

/** ECMA-48 and xterm: the other screen with its cursor hidden; from the top; rest of the line, of the screen. */
const OPEN = '\u001b[?1049h\u001b[?25l';
const CLOSE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export function openScreen(terminal: NodeJS.WriteStream = process.stdout): Screen {
  let open = true;
  const close = () => {
    if (open) terminal.write(CLOSE);
    open = false;
    process.removeListener('exit', close);
  };
  // Whatever ends the process.
  process.on('exit', close);
  terminal.write(OPEN);
  return {
    show(text) {
      const lines = text.split('\n');
      const rows = Math.max(2, terminal.rows ?? 24);
      const shown =
        lines.length > rows
          ? [...lines.slice(0, rows - 1), cutEnd(`… ${lines.length - rows + 1} more`, terminal.columns ?? 80)]
          : lines;
      const drawn = shown.map((line) => `${line}${CLEAR_LINE}`).join('\r\n');
      terminal.write(`${HOME}${drawn}${CLEAR_BELOW}`);
    },
    close,
  };
}
