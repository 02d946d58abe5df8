import type { RosterEntry } from '../agents/contract.ts';

const HOME = '/home/dev/';

/** Where the programs of a roster would keep real credentials: relative to the container's home, by whose it is (pure). */
export function credentialFilesOf(roster: readonly RosterEntry[]): ReadonlyMap<string, string> {
  return new Map(
    roster.flatMap(({ name, auth }) => {
      const directory = auth?.directory?.container;
      if (auth === undefined || directory === undefined || !directory.startsWith(HOME)) return [];
      const files = [auth.credential_file, ...auth.extract.map(({ file }) => file)];
      return files.flatMap((file): readonly (readonly [string, string])[] =>
        file === undefined ? [] : [[`${directory.slice(HOME.length)}/${file}`, name]],
      );
    }),
  );
}
