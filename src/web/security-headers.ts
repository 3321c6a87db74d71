/** Headers of every answer over TCP: what a browser must not do with it. */

const SHARED = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'deny',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  ...SHARED,
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Of the live page: its own script, style and data, and nothing that makes markup of text. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  ...SHARED,
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};
