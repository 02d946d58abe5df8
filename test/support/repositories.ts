import path from 'node:path';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { openDatabase } from '../../src/runtime/core/database.ts';
import { RepositoryStore } from '../../src/runtime/projects/repository-store.ts';

/** A store of repositories in a database of its own. */
export const repositoriesIn = (directory: string): RepositoryStore =>
  new RepositoryStore({
    database: openDatabase(path.join(directory, 'repositories.db')),
    clock: systemClock,
  });
