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

/** Reads an upstream as git itself would: a URL, `[user@]host:path`, or an absolute path. */
export function parseUpstreamUrl(url: string): UpstreamUrl {
  const invalid = (problem: string): UpstreamUrl => ({ isValid: false, problem });
  if (url.trim() === '') return invalid('is empty');
  if (url.startsWith('-')) return invalid('begins with "-", which git would read as an option');
  if (cleanText(url) !== url || /[\s]/.test(url))
    return invalid('contains spaces, control or invisible characters');
  if (url.startsWith('/')) return { isValid: true, transport: 'file' };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):(\/\/|:)/.exec(url);
  if (scheme !== null) {
    const [prefix, name = '', separator] = scheme;
    const transport = separator === '//' ? SCHEMES[name] : undefined;
    if (transport === undefined)
      return invalid(`uses "${prefix}"; allowed are https, http, ssh, git and file`);
    const rest = url.slice(prefix.length);
    if (transport === 'file')
      return rest.startsWith('/')
        ? { isValid: true, transport }
        : invalid('names no absolute path after file://');
    return isHostPart(rest) ? { isValid: true, transport } : invalid('names no host');
  }
  if (/^[^/:]+:./.test(url))
    return isHostPart(url) ? { isValid: true, transport: 'ssh' } : invalid('names no host');
  return invalid('is neither a URL (https, http, ssh, git, file), nor host:path, nor an absolute path');
}

/** A host (after an optional user) that begins with "-" would become an option of ssh. */
function isHostPart(rest: string): boolean {
  const host = /^(?:[^@/]*@)?([^/]*)/.exec(rest)?.[1] ?? '';
  return host !== '' && !host.startsWith('-') && !host.startsWith(':') && !rest.startsWith('-');
}

/** The URL without its user and password, for messages. */
export function withoutCredentials(text: string): string {
  return text.replace(/(:\/\/)[^/@\s]*@/g, '$1');
}
