#!/bin/bash
# gemini as in this task. Written by the host, which keeps it.

agent_name='Gemini' agent_email='noreply@google.com'
human_name=${HUMAN_GIT_NAME:-Nobody} human_email=${HUMAN_GIT_EMAIL:-nobody@localhost}
case ${TEROK_GIT_AUTHORSHIP-} in
  human | human-agent) export GIT_AUTHOR_NAME=$human_name GIT_AUTHOR_EMAIL=$human_email ;;
  *) export GIT_AUTHOR_NAME=$agent_name GIT_AUTHOR_EMAIL=$agent_email ;;
esac
case ${TEROK_GIT_AUTHORSHIP-} in
  agent | human-agent) export GIT_COMMITTER_NAME=$agent_name GIT_COMMITTER_EMAIL=$agent_email ;;
  *) export GIT_COMMITTER_NAME=$human_name GIT_COMMITTER_EMAIL=$human_email ;;
esac

export GEMINI_TELEMETRY_ENABLED='false'

# Unless they are given, as by a headless run.
defaults=('--approval-mode' 'yolo')
for argument in "$@"; do
  case $argument in '--approval-mode' | '--approval-mode'=*) defaults=() ;; esac
done
set -- "${defaults[@]}" "$@"

for directory in '/usr/local/bin' '/usr/bin'; do
  if [ -x "$directory"/'gemini' ]; then exec "$directory"/'gemini' "$@"; fi
done
printf '%s\n' 'gemini: not in this image' >&2
exit 127
