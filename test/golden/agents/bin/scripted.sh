#!/bin/bash
# scripted as in this task. Written by the host, which keeps it.

agent_name='Scripted agent' agent_email='scripted@terok.invalid'
human_name=${HUMAN_GIT_NAME:-Nobody} human_email=${HUMAN_GIT_EMAIL:-nobody@localhost}
case ${TEROK_GIT_AUTHORSHIP-} in
  human | human-agent) export GIT_AUTHOR_NAME=$human_name GIT_AUTHOR_EMAIL=$human_email ;;
  *) export GIT_AUTHOR_NAME=$agent_name GIT_AUTHOR_EMAIL=$agent_email ;;
esac
case ${TEROK_GIT_AUTHORSHIP-} in
  agent | human-agent) export GIT_COMMITTER_NAME=$agent_name GIT_COMMITTER_EMAIL=$agent_email ;;
  *) export GIT_COMMITTER_NAME=$human_name GIT_COMMITTER_EMAIL=$human_email ;;
esac

export TEROK_SCRIPTED_INSTRUCTIONS='/etc/terok/instructions/scripted'

for directory in '/usr/local/bin' '/usr/bin'; do
  if [ -x "$directory"/'terok-scripted' ]; then exec "$directory"/'terok-scripted' "$@"; fi
done
printf '%s\n' 'scripted: not in this image' >&2
exit 127
