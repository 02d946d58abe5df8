import { z } from 'zod';

/** Variables that say who commits, where the gate is and what runs first: no file of the roster moves them. */
export const environmentName = z
  .string()
  .regex(
    /^(?!(?:PATH|HOME|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|LD_.*|TASK_ID|PROJECT_NAME|REPO_ROOT|CODE_REPO|GIT_(?:BRANCH|RESET_MODE|DIR|COMMON_DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_.*|NAMESPACE|EXEC_PATH|CONFIG.*|(?:AUTHOR|COMMITTER)_.*)|HUMAN_GIT_.*|SSH_AUTH_SOCK|TEROK_(?:SERVICES|GATE_PORT|RELAY|RELAY_PORT|VAULT|VAULT_PORT|UNRESTRICTED|AGENT|GIT_AUTHORSHIP))$)[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    'a variable name, and none that terok-mcp sets itself',
  );
export const environmentMap = z.record(environmentName, z.string().max(20_000));
/** Program arguments; `{name}` marks a place that is filled in. Never a shell. */
export const argv = z.array(z.string().max(20_000));
export const programArgv = argv.min(1);
/** Podman is given paths as `host:container:options`. */
export const absolutePath = z
  .string()
  .max(200)
  .regex(
    /^(?:\/(?!\.{1,2}(?:\/|$))[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff:,/]+)+$/,
    'an absolute path without "..", ":" or "," and in its shortest form',
  );
/** A file that is mounted there by itself. */
export const mountPath = absolutePath.regex(
  /^(?!\/(?:(?:proc|sys|dev|workspace|run\/terok|etc\/(?:terok|pam\.d|profile\.d|sudoers\.d)|home\/dev\/\.terok|(?:usr\/(?:local\/)?)?(?:s?bin|lib(?:32|64|exec)?))(?:\/|$)|(?:etc|home|home\/dev|run|usr|usr\/local|var|tmp|etc\/(?:passwd|group|shadow|gshadow|sudoers|hosts|hostname|resolv\.conf|environment|gitconfig|profile|bash\.bashrc|tmux\.conf|ld\.so\..*))$))/,
  'a place that is not needed for something else',
);
export const relativePath = z
  .string()
  .max(200)
  .regex(
    /^(?!\.{1,2}(?:\/|$))[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff:,/]+(?:\/(?!\.{1,2}(?:\/|$))[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff:,/]+)*$/,
    'a relative path without "..", ":" or "," and in its shortest form',
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
