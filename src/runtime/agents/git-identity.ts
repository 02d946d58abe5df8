import type { Authorship, Person } from './contract.ts';

/** Who commits when no person is known. Git refuses an empty name. */
const NOBODY: Person = { name: 'Nobody', email: 'nobody@localhost' };

/** A person as git can write them: it drops `<>` and control characters, and fails when no more is left. */
export function usablePerson(person: Person | undefined): Person {
  const name = withoutControls(person?.name ?? '');
  const email = withoutControls(person?.email ?? '');
  return {
    name: /[^\s.,:;<>"'\\]/.test(name) ? name : NOBODY.name,
    email: /[^\s.,:;<>"'\\]/.test(email) ? email : NOBODY.email,
  };
}

const withoutControls = (text: string): string => text.replace(/[\u0000-\u001f\u007f]/g, ' ').trim();

type IdentityVariable = `GIT_${'AUTHOR' | 'COMMITTER'}_${'NAME' | 'EMAIL'}`;

/** All four variables of git's identity, so that nothing of another identity shines through. */
export function gitIdentity(
  mode: Authorship,
  { agent, human }: { readonly agent: Person; readonly human: Person },
): Readonly<Record<IdentityVariable, string>> {
  const author = mode === 'human' || mode === 'human-agent' ? human : agent;
  const committer = mode === 'agent' || mode === 'human-agent' ? agent : human;
  return {
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_COMMITTER_NAME: committer.name,
    GIT_COMMITTER_EMAIL: committer.email,
  };
}
