import { cleanText } from './untrusted-text.ts';

/** How git reaches an upstream. Any other transport (ext::, a remote helper) is refused: it would run programs. */
export type UpstreamTransport = 'https' | 'http' | 'ssh' | 'git' | 'file';

export type UpstreamUrl =
  | { readonly isValid: true; readonly transport: UpstreamTransport }
  | { readonly isValid: false; readonly problem: string };

const SCHEMES: Readonly<Record<string, UpstreamTransport>> = {
  https: 'https',
  http: 'http',
  ssh: 'ssh',
  git: 'git',
  file: 'file',
};

const MAX_LENGTH = 2000;

/** Reads an upstream as git itself would: a URL, `[user@]host:path`, or an absolute path. */
export function parseUpstreamUrl(url: string): UpstreamUrl {
  const invalid = (problem: string): UpstreamUrl => ({ isValid: false, problem });
  if (url.trim() === '') return invalid('is empty');
  if (url.length > MAX_LENGTH) return invalid(`is longer than ${MAX_LENGTH} characters`);
  if (url.startsWith('-')) return invalid('begins with "-", which git would read as an option');
  if (cleanText(url) !== url || /[\s]/.test(url))
    return invalid('contains spaces, control or invisible characters');
  if (url.startsWith('/')) return { isValid: true, transport: 'file' };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):(\/\/|:)/.exec(url);
  if (scheme !== null) {
    const [prefix, name = '', separator] = scheme;
    const transport = separator === '//' ? SCHEMES[name] : undefined;
    if (transport === undefined)
      return invalid(`uses "${prefix}"; possible are https, http, ssh, git and file`);
    const rest = url.slice(prefix.length);
    if (transport === 'file')
      return rest.startsWith('/')
        ? { isValid: true, transport }
        : invalid('names no absolute path after file://');
    return isHostPart(rest) ? { isValid: true, transport } : invalid('names no host');
  }
  if (/^[^/:]+:./.test(url))
    return isHostPart(url) ? { isValid: true, transport: 'ssh' } : invalid('names no host');
  return invalid('is neither a URL (https, http, ssh, git, file) nor user@host:path nor an absolute path');
}

/** A host (after an optional user) that begins with "-" would become an option of ssh. */
function isHostPart(rest: string): boolean {
  const host = /^(?:[^@/]*@)?([^/]*)/.exec(rest)?.[1] ?? '';
  return host !== '' && !host.startsWith('-') && !host.startsWith(':') && !rest.startsWith('-');
}

/** The URL without its user and password, for messages. */
export function withoutCredentials(text: string): string {
  return text.replace(/(:\/\/)[^/\s]*@/g, '$1');
}

/**
 * A URL as programs may be given it, where others can read their arguments; and apart from it, as a line of
 * git-credential-store(1), what a web server wants to see. An ssh URL keeps its user, which is no secret.
 */
export function splitCredentials(url: string): {
  readonly url: string;
  readonly credentials: string | undefined;
} {
  const [whole, scheme = '', userinfo = '', rest = ''] =
    /^([A-Za-z][A-Za-z0-9+.-]*:\/\/)([^/?#]*)@([^@]*.*)$/.exec(url) ?? [];
  if (whole === undefined) return { url, credentials: undefined };
  const colon = userinfo.indexOf(':');
  const user = colon < 0 ? userinfo : userinfo.slice(0, colon);
  const password = colon < 0 ? '' : userinfo.slice(colon + 1);
  if (scheme === 'ssh://') return { url: `${scheme}${user}@${rest}`, credentials: undefined };
  const bare = `${scheme}${rest}`;
  if (!/^https?:/.test(scheme)) return { url: bare, credentials: undefined };
  const host = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  // The colon stands also before an empty password: without one git takes a line for incomplete.
  return { url: bare, credentials: `${scheme}${encoded(user)}:${encoded(password)}@${encoded(host)}\n` };
}

/** Encoded once, whether it was already or not, and as git itself does, which writes the line anew. */
function encoded(text: string): string {
  return Array.from(Buffer.from(decoded(text)), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
