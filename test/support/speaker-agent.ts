import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Terok } from './runtime-host.ts';

/**
 * An agent of a person's own that tells events as Claude Code does, and keeps its conversations in ~/.speaker. A prompt
 * that begins with `steps` is a shell script, with `silent` it ends at once; `say`, `retry`, `denied` and `result success|failure|none` tell events.
 */
const SPEAKER = `kind: agent
name: speaker
title: Speaker
description: Tells what its prompt says, as events.
binary: speaker
git: { name: Speaker, email: speaker@example.org }
install:
  programs:
    speaker: |
      #!/bin/bash
      session='' how=new outcome=success
      for argument; do
        case $argument in
          --session=*) session=\${argument#*=} ;;
          --resume=*) session=\${argument#*=} how=resumed ;;
        esac
      done
      kept=/home/dev/.speaker/$session
      if [ "$how" = resumed ] && [ ! -e "$kept" ]; then
        echo "No such conversation: $session" >&2
        exit 1
      fi
      tell() { printf '{"type":"%s","session_id":"%s",%s}\\n' "$1" "$session" "$2"; }
      say() { tell assistant "\\"message\\":{\\"content\\":[{\\"type\\":\\"text\\",\\"text\\":\\"$1\\"}]}"; }
      retry() { tell system '"subtype":"api_retry","error":"overloaded","error_status":529'; }
      denied() { tell system "\\"subtype\\":\\"permission_denied\\",\\"tool_name\\":\\"$1\\""; }
      result() { outcome=$1; }
      prompt=$(mktemp)
      cat > "$prompt"
      [ "$(head -n 1 "$prompt")" != silent ] || exit 9
      tell system '"subtype":"init","model":"none"'
      say "$how $(sha256sum < "$prompt" | cut -d' ' -f1)"
      echo "$how" >> "$kept"
      code=0
      if [ "$(head -n 1 "$prompt")" = steps ]; then
        { echo cd /workspace; tail -n +2 "$prompt"; } > "$prompt.sh"
        # shellcheck disable=SC1090
        . "$prompt.sh" || code=$?
      fi
      case $outcome in
        success) tell result '"subtype":"success","is_error":false,"num_turns":1,"usage":{"input_tokens":10,"output_tokens":5},"total_cost_usd":0.01,"result":"done"' ;;
        failure) tell result '"subtype":"error_during_execution","is_error":true' ;;
      esac
      exit "$code"
headless:
  command: [speaker, "--session={session}"]
  resume: [speaker, "--resume={session}"]
session: { id: host, not_found: "No such conversation" }
events: { format: claude, exit_code_is_reliable: false }
instructions: { via: env_dir, env: SPEAKER_INSTRUCTIONS, file: AGENTS.md }
state: [.speaker]
first_state: { .speaker/settings.json: { first: true } }
`;

/** Makes it the agent of every task that names none. Its image is the scripted agent's with one layer more. */
export async function useSpeaker({ host }: Terok): Promise<void> {
  const { config } = host.paths;
  await mkdir(path.join(config, 'agents'), { recursive: true });
  await writeFile(path.join(config, 'agents/speaker.yaml'), SPEAKER);
  await writeFile(
    path.join(config, 'config.yml'),
    'default_agent: speaker\ndocker:\n  agents: [scripted, speaker]\n',
  );
}

/** A prompt that the speaker runs. */
export const steps = (...lines: readonly string[]): string => ['steps', ...lines].join('\n');
