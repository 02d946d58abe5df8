#!/bin/bash
# copilot as in this task. Written by the host, which keeps it.

words=() values=0 previous= refused=
for argument in "$@"; do
  case $argument in
    --) break ;;
    -*) ;;
    *)
      # Perhaps the value of the flag before it.
      if [[ $previous == -* && $values -eq ${#words[@]} ]]; then values=$((values + 1)); fi
      words+=("$argument")
      ;;
  esac
  previous=$argument
done
for ((at = 0; at <= values; at++)); do
  if [[ "${words[at + 0]-}" = 'login' ]]; then refused='login'; fi
  if [[ "${words[at + 0]-}" = 'update' ]]; then refused='update'; fi
done
if [ -n "$refused" ]; then
  printf '%s\n' 'copilot: "'"$refused"'" is not done here: the host looks after credentials and versions.' >&2
  exit 1
fi

agent_name='Copilot' agent_email='noreply@github.com'
human_name=${HUMAN_GIT_NAME:-Nobody} human_email=${HUMAN_GIT_EMAIL:-nobody@localhost}
case ${TEROK_GIT_AUTHORSHIP-} in
  human | human-agent) export GIT_AUTHOR_NAME=$human_name GIT_AUTHOR_EMAIL=$human_email ;;
  *) export GIT_AUTHOR_NAME=$agent_name GIT_AUTHOR_EMAIL=$agent_email ;;
esac
case ${TEROK_GIT_AUTHORSHIP-} in
  agent | human-agent) export GIT_COMMITTER_NAME=$agent_name GIT_COMMITTER_EMAIL=$agent_email ;;
  *) export GIT_COMMITTER_NAME=$human_name GIT_COMMITTER_EMAIL=$human_email ;;
esac

export COPILOT_AUTO_UPDATE='false'
export COPILOT_CUSTOM_INSTRUCTIONS_DIRS='/etc/terok/instructions/copilot'

if [ "${COPILOT_OTEL_FILE_EXPORTER_PATH-}" = stderr ]; then
  COPILOT_OTEL_FILE_EXPORTER_PATH=$(mktemp -d)/log
  export COPILOT_OTEL_FILE_EXPORTER_PATH
  mkfifo -m 0600 "$COPILOT_OTEL_FILE_EXPORTER_PATH"
  (
    trap '' TERM INT HUP
    cat "$COPILOT_OTEL_FILE_EXPORTER_PATH" >&2 || cat "$COPILOT_OTEL_FILE_EXPORTER_PATH" > /dev/null
  ) &
  exec 3> "$COPILOT_OTEL_FILE_EXPORTER_PATH"
fi

for directory in '/usr/local/bin' '/usr/bin'; do
  if [ -x "$directory"/'copilot' ]; then exec "$directory"/'copilot' "$@"; fi
done
printf '%s\n' 'copilot: not in this image' >&2
exit 127
