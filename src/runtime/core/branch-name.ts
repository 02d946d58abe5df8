import { cleanLine } from './untrusted-text.ts';

const MAX_LENGTH = 200;

/**
 * Why a text cannot be a branch of ours, or undefined when it can. The rules of git-check-ref-format(1), and
 * two of our own: at most 200 characters, and nothing that a terminal or a reader would see differently from
 * what it is (a name with hidden or reordering characters could pass for another one in a review).
 */
export function branchNameProblem(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  if (name.startsWith('-')) return 'begins with "-"';
  if (cleanLine(name, MAX_LENGTH) !== name) return 'contains invisible or control characters';
  if (/[ ~^:?*[\\\u007f]/.test(name)) return 'contains a space or one of ~ ^ : ? * [ \\';
  if (name === '@' || name === 'HEAD' || name.includes('@{')) return 'has a meaning of its own in git';
  if (name.includes('..') || name.endsWith('.')) return 'contains ".." or ends with "."';
  const parts = name.split('/');
  if (parts.includes('')) return 'begins or ends with "/", or contains "//"';
  if (parts.some((part) => part.startsWith('.') || part.endsWith('.lock')))
    return 'has a part that begins with "." or ends with ".lock"';
  return undefined;
}
