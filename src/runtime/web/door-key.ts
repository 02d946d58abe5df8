import { createHash, timingSafeEqual } from 'node:crypto';

/** Cookies do not tell ports apart: each task has a name of its own, and no program sees any of them. */
const COOKIE_PREFIX = 'terok_token_';
const MAX_TOKEN_CHARS = 256;

/** What opens one task's door: a token, told apart by its hash alone, which then lives on as a cookie. */
export class DoorKey {
  readonly #hash: Uint8Array;
  readonly #cookie: string;
  readonly #isSecure: boolean;

  constructor(deps: { readonly task: string; readonly tokenHash: Uint8Array; readonly isSecure: boolean }) {
    this.#hash = deps.tokenHash;
    this.#cookie = `${COOKIE_PREFIX}${deps.task}`;
    this.#isSecure = deps.isSecure;
  }

  /** Any doubt is a no. */
  fits(token: string): boolean {
    if (token === '' || token.length > MAX_TOKEN_CHARS) return false;
    const digest = createHash('sha256').update(token).digest();
    return digest.length === this.#hash.length && timingSafeEqual(digest, this.#hash);
  }

  /** Whether one of the cookies of a request fits. A program may have set others of the same name. */
  isAmong(cookieHeader: string | undefined): boolean {
    return cookiesOf(cookieHeader).some(({ name, value }) => name === this.#cookie && this.fits(value));
  }

  /** `Set-Cookie` that lets a browser in from now on, until it is closed. */
  setCookie(token: string): string {
    const secure = this.#isSecure ? '; Secure' : '';
    return `${this.#cookie}=${token}; Path=/; HttpOnly; SameSite=Strict${secure}`;
  }
}

/** A `Cookie` header without those of any door; undefined when nothing is left. */
export function withoutDoorCookies(cookieHeader: string | undefined): string | undefined {
  const rest = cookiesOf(cookieHeader).filter(({ name }) => !isDoorCookie(name));
  return rest.length === 0 ? undefined : rest.map(({ text }) => text).join('; ');
}

/** A program's `Set-Cookie` as it may be passed on: for its own address alone, and never a door's. */
export function programCookie(setCookie: string): string | undefined {
  const [pair = '', ...attributes] = setCookie.split(';');
  if (isDoorCookie((pair.split('=')[0] ?? '').trim())) return undefined;
  return [pair, ...attributes.filter((attribute) => !/^\s*domain\s*(?:=|$)/i.test(attribute))].join(';');
}

const isDoorCookie = (name: string): boolean => name.toLowerCase().startsWith(COOKIE_PREFIX);

function cookiesOf(header: string | undefined): readonly { name: string; value: string; text: string }[] {
  return (header ?? '')
    .split(';')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const end = text.indexOf('=');
      return end < 0
        ? { name: text, value: '', text }
        : { name: text.slice(0, end).trim(), value: text.slice(end + 1).trim(), text };
    });
}
