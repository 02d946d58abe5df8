/**
 * Named places between the steps of an operation. In production this does nothing; fault-injection tests
 * start the daemon with one name at which it kills itself, and then check what the next start makes of it.
 */
export type Checkpoint = (name: CheckpointName) => void;

export const CHECKPOINTS = [
  'create:intent-written',
  'create:directories-made',
  'create:config-written',
  'create:gate-opened',
  'create:services-listening',
  'create:shield-raised',
  'create:tokens-granted',
  'create:container-started',
  'create:committed',
  'restart:intent-written',
  'restart:config-written',
  'restart:gate-opened',
  'restart:services-listening',
  'restart:shield-raised',
  'restart:tokens-granted',
  'restart:container-started',
  'restart:committed',
] as const;
export type CheckpointName = (typeof CHECKPOINTS)[number];

export const noCheckpoint: Checkpoint = () => undefined;
