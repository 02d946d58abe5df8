# Says of each agent of an image whether it is there and answers. Runs in bash, in a container of that image, as
# the person inside and without network. Arguments, for each agent: NAME, how many words its probe has, the words.
# One line an agent: NAME, "left-out" or the probe's exit code, and in base64 the reason or what the probe printed.
set -u

look() {
  local name=$1 note=/opt/terok/left-out/$1 output code=0
  shift
  if [ -r "$note" ]; then
    printf '%s left-out %s\n' "$name" "$(head -c 600 "$note" | base64 -w 0)"
    return
  fi
  output=$(mktemp)
  timeout --kill-after=2 60 "$@" < /dev/null > "$output" 2>&1 || code=$?
  printf '%s %s %s\n' "$name" "$code" "$(head -c 1500 "$output" | base64 -w 0)"
}

while [ $# -ge 2 ]; do
  name=$1
  words=$2
  shift 2
  look "$name" "${@:1:words}" &
  shift "$words"
done
wait
