import { STATE_VERSION_1 } from './state-version-1.ts';

/** The state database as the release before runs had outcomes made it. */
export const STATE_VERSION_2 = `${STATE_VERSION_1}
   ALTER TABLE tasks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
   ALTER TABLE tasks ADD COLUMN session TEXT;
   ALTER TABLE tasks ADD COLUMN image TEXT;`;
