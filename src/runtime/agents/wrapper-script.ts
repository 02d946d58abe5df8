import {
  approvalArgs,
  channelEnvironment,
  instructionArgs,
  isAgent,
  LOG_TO_OUTPUT,
} from './agent-channels.ts';
import type { RosterEntry } from './contract.ts';
import { shellWord } from './shell-word.ts';

export interface WrapperOptions {
  readonly isRestricted: boolean;
  readonly hasInstructions: boolean;
  /** Where programs are, the first to have it. */
  readonly directories?: readonly string[];
}

/** npm, pip and our own programs; then those of the distribution. */
const DIRECTORIES = ['/usr/local/bin', '/usr/bin'];

/**
 * The program that stands in front of an agent or tool (pure): it takes on its git identity, refuses what belongs
 * on the host, and becomes the real one. A program and not a shell function, so that whatever starts it meets it.
 */
export function renderWrapper(entry: RosterEntry, options: WrapperOptions): string {
  const blocks = [
    `#!/bin/bash\n# ${entry.name} as in this task. Written by the host, which keeps it.`,
    ...(isAgent(entry)
      ? [
          ...refusals(entry.name, entry.refuse),
          AGENT_IDENTITY(entry.git),
          ...exports({ ...entry.env, ...channelEnvironment(entry) }),
          ...defaultArgs(options.hasInstructions ? instructionArgs(entry) : []),
          ...defaultArgs(approvalArgs(entry, options.isRestricted)),
          ...logToOutput(entry.headless.log_env),
        ]
      : [HUMAN_IDENTITY]),
    start(entry, options.directories ?? DIRECTORIES),
  ];
  return `${blocks.join('\n\n')}\n`;
}

const HUMAN = `human_name=\${HUMAN_GIT_NAME:-Nobody} human_email=\${HUMAN_GIT_EMAIL:-nobody@localhost}`;
const as = (role: string, who: string): string =>
  `export GIT_${role}_NAME=$${who}_name GIT_${role}_EMAIL=$${who}_email`;

const HUMAN_IDENTITY = [HUMAN, as('AUTHOR', 'human'), as('COMMITTER', 'human')].join('\n');

const AGENT_IDENTITY = ({ name, email }: { readonly name: string; readonly email: string }): string =>
  `agent_name=${shellWord(name)} agent_email=${shellWord(email)}
${HUMAN}
case \${TEROK_GIT_AUTHORSHIP-} in
  human | human-agent) ${as('AUTHOR', 'human')} ;;
  *) ${as('AUTHOR', 'agent')} ;;
esac
case \${TEROK_GIT_AUTHORSHIP-} in
  agent | human-agent) ${as('COMMITTER', 'agent')} ;;
  *) ${as('COMMITTER', 'human')} ;;
esac`;

const exports = (environment: Readonly<Record<string, string>>): readonly string[] => {
  const lines = Object.entries(environment).map(([name, value]) => `export ${name}=${shellWord(value)}`);
  return lines.length === 0 ? [] : [lines.join('\n')];
};

function defaultArgs(args: readonly string[]): readonly string[] {
  const [first] = args;
  if (first === undefined) return [];
  return [
    `# Unless they are given, as by a headless run.
defaults=(${args.map(shellWord).join(' ')})
for argument in "$@"; do
  case $argument in ${shellWord(first)} | ${shellWord(first)}=*) defaults=() ;; esac
done
set -- "\${defaults[@]}" "$@"`,
  ];
}

/**
 * The container's own standard error belongs to the host, so by name nobody in here can open it: a pipe can be. The
 * program holds it open itself, so that it may close and open the file as it likes, and the copying ends with it and
 * not with a signal to both. Whatever becomes of standard error, the pipe is read: a full one would stop the program.
 */
function logToOutput(variable: string | undefined): readonly string[] {
  if (variable === undefined) return [];
  return [
    `if [ "\${${variable}-}" = ${LOG_TO_OUTPUT} ]; then
  ${variable}=$(mktemp -d)/log
  export ${variable}
  mkfifo -m 0600 "$${variable}"
  (
    trap '' TERM INT HUP
    cat "$${variable}" >&2 || cat "$${variable}" > /dev/null
  ) &
  exec 3> "$${variable}"
fi`,
  ];
}

/**
 * Subcommands are looked for where the program would find them: behind flags, of which the next word may be a
 * value, and not behind another word.
 */
function refusals(name: string, refused: readonly (readonly string[])[]): readonly string[] {
  if (refused.length === 0) return [];
  const tests = refused.map((words) => {
    const here = words.map((word, index) => `"\${words[at + ${index}]-}" = ${shellWord(word)}`);
    return `  if [[ ${here.join(' && ')} ]]; then refused=${shellWord(words.join(' '))}; fi`;
  });
  const flags = refused.filter(([word = '']) => word.startsWith('-')).map(([word = '']) => shellWord(word));
  const keepFlags = flags.length === 0 ? '' : `    ${flags.join(' | ')}) refused=$argument ;;\n`;
  return [
    `words=() values=0 previous= refused=
for argument in "$@"; do
  case $argument in
    --) break ;;
${keepFlags}    -*) ;;
    *)
      # Perhaps the value of the flag before it.
      if [[ $previous == -* && $values -eq \${#words[@]} ]]; then values=$((values + 1)); fi
      words+=("$argument")
      ;;
  esac
  previous=$argument
done
for ((at = 0; at <= values; at++)); do
${tests.join('\n')}
done
if [ -n "$refused" ]; then
  printf '%s\\n' ${shellWord(`${name}: "`)}"$refused"'" is not done here: the host looks after credentials and versions.' >&2
  exit 1
fi`,
  ];
}

const start = (entry: RosterEntry, directories: readonly string[]): string =>
  `for directory in ${directories.map(shellWord).join(' ')}; do
  if [ -x "$directory"/${shellWord(entry.binary)} ]; then exec "$directory"/${shellWord(entry.binary)} "$@"; fi
done
printf '%s\\n' ${shellWord(`${entry.name}: not in this image`)} >&2
exit 127`;
