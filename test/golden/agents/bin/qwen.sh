#!/bin/bash
# qwen as in this task. Written by the host, which keeps it.

agent_name='Qwen' agent_email='noreply@alibabacloud.com'
human_name=${HUMAN_GIT_NAME:-Nobody} human_email=${HUMAN_GIT_EMAIL:-nobody@localhost}
case ${TEROK_GIT_AUTHORSHIP-} in
  human | human-agent) export GIT_AUTHOR_NAME=$human_name GIT_AUTHOR_EMAIL=$human_email ;;
  *) export GIT_AUTHOR_NAME=$agent_name GIT_AUTHOR_EMAIL=$agent_email ;;
esac
case ${TEROK_GIT_AUTHORSHIP-} in
  agent | human-agent) export GIT_COMMITTER_NAME=$agent_name GIT_COMMITTER_EMAIL=$agent_email ;;
  *) export GIT_COMMITTER_NAME=$human_name GIT_COMMITTER_EMAIL=$human_email ;;
esac

export QWEN_CODE_SUPPRESS_YOLO_WARNING='1'

for directory in '/usr/local/bin' '/usr/bin'; do
  if [ -x "$directory"/'qwen' ]; then exec "$directory"/'qwen' "$@"; fi
done
printf '%s\n' 'qwen: not in this image' >&2
exit 127
