/** Dark or light: as the system has it, unless somebody chose. */
import { find, setText } from './dom.js';

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'loopwarden-theme';

/** Before anything is drawn. */
export function applyTheme(): Theme {
  const theme = stored();
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  return theme;
}

export function createThemeButton(onChange: () => void): void {
  const button = find('theme');
  const show = (): void => setText(button, `Theme: ${applyTheme()}`);
  button.addEventListener('click', () => {
    const next = THEMES[(THEMES.indexOf(stored()) + 1) % THEMES.length] ?? 'auto';
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // No storage is allowed: then it stays as the system has it.
    }
    show();
    onChange();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange);
  show();
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === value) ?? 'auto';
  } catch {
    return 'auto';
  }
}
