import { z } from 'zod';

/** Variables that say who commits, where the gate is and what runs first: no file of the roster moves them. */
export const environmentName = z
  .string()
  .regex(
    /^(?!(?:PATH|HOME|ENV|BASH_ENV|LD_PRELOAD|TASK_ID|PROJECT_NAME|REPO_ROOT|CODE_REPO|GIT_(?:BRANCH|RESET_MODE|DIR|WORK_TREE|INDEX_FILE|CONFIG.*|(?:AUTHOR|COMMITTER)_.*)|HUMAN_GIT_.*|TEROK_(?:SERVICES|GATE_PORT|RELAY|RELAY_PORT|UNRESTRICTED|AGENT|GIT_AUTHORSHIP))$)[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    'a variable name, and none that terok-mcp sets itself',
  );
export const environmentMap = z.record(environmentName, z.string().max(20_000));
/** Program arguments; `{name}` marks a place that is filled in. Never a shell. */
export const argv = z.array(z.string().max(20_000));
export const programArgv = argv.min(1);
export const absolutePath = z
  .string()
  .regex(
    /^(?:\/(?!\.{1,2}(?:\/|$))[^\0\n:,/]+)+$/,
    'an absolute path without "..", ":" or "," and in its shortest form',
  );
/** A file that is mounted there by itself. */
export const mountPath = absolutePath.regex(
  /^(?!\/(?:(?:proc|sys|dev|workspace|run\/terok|etc\/terok|home\/dev\/\.terok)(?:\/|$)|(?:etc|home|home\/dev|run|usr|var|tmp|etc\/(?:passwd|group|shadow|gshadow|sudoers|hosts|hostname|resolv\.conf))$))/,
  'a place that is not needed for something else',
);
export const relativePath = z
  .string()
  .regex(
    /^(?!\.{1,2}(?:\/|$))[^\0\n/]+(?:\/(?!\.{1,2}(?:\/|$))[^\0\n/]+)*$/,
    'a relative path without ".." and in its shortest form',
  );
export const pathSegment = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'one path segment');
export const programName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'a program name');
export const packageName = z
  .string()
  .regex(/^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/, 'a package name');
export const version = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+_~-]{0,63}$/, 'one exact version');
export const httpsUrl = z
  .string()
  .regex(/^https:\/\/[A-Za-z0-9.-]+(?::[0-9]+)?(?:\/[^\s]*)?$/, 'an https URL');
export const hostName = z.string().regex(/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, 'a host name');
