#!/bin/bash
# kisski as in this task. Written by the host, which keeps it.

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
  if [[ "${words[at + 0]-}" = 'auth' && "${words[at + 1]-}" = 'login' ]]; then refused='auth login'; fi
  if [[ "${words[at + 0]-}" = 'auth' && "${words[at + 1]-}" = 'logout' ]]; then refused='auth logout'; fi
  if [[ "${words[at + 0]-}" = 'providers' && "${words[at + 1]-}" = 'login' ]]; then refused='providers login'; fi
  if [[ "${words[at + 0]-}" = 'providers' && "${words[at + 1]-}" = 'logout' ]]; then refused='providers logout'; fi
  if [[ "${words[at + 0]-}" = 'upgrade' ]]; then refused='upgrade'; fi
done
if [ -n "$refused" ]; then
  printf '%s\n' 'kisski: "'"$refused"'" is not done here: the host looks after credentials and versions.' >&2
  exit 1
fi

agent_name='KISSKI' agent_email='noreply@academiccloud.de'
human_name=${HUMAN_GIT_NAME:-Nobody} human_email=${HUMAN_GIT_EMAIL:-nobody@localhost}
case ${TEROK_GIT_AUTHORSHIP-} in
  human | human-agent) export GIT_AUTHOR_NAME=$human_name GIT_AUTHOR_EMAIL=$human_email ;;
  *) export GIT_AUTHOR_NAME=$agent_name GIT_AUTHOR_EMAIL=$agent_email ;;
esac
case ${TEROK_GIT_AUTHORSHIP-} in
  agent | human-agent) export GIT_COMMITTER_NAME=$agent_name GIT_COMMITTER_EMAIL=$agent_email ;;
  *) export GIT_COMMITTER_NAME=$human_name GIT_COMMITTER_EMAIL=$human_email ;;
esac

export OPENCODE_DISABLE_AUTOUPDATE='1'
export OPENCODE_DISABLE_MODELS_FETCH='1'
export OPENCODE_DISABLE_LSP_DOWNLOAD='1'
export OPENCODE_CONFIG='/etc/terok/opencode/kisski.json'

for directory in '/usr/local/bin' '/usr/bin'; do
  if [ -x "$directory"/'opencode' ]; then exec "$directory"/'opencode' "$@"; fi
done
printf '%s\n' 'kisski: not in this image' >&2
exit 127
