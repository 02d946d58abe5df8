#!/bin/sh
# Installs one agent while its image is built, or notes why it is left out: a package that cannot be had never ends
# the build. Runs in whatever sh the base has.
#
#   install-agent.sh NAME DIGEST [REQUIRED...]     DIGEST is of all that is mounted for it: the builder's cache
#                                                  looks at this line and not at what is mounted
set -u

name=$1
shift 2
here=/run/terok-agents/$name
notes=/opt/terok/left-out

leave_out() {
  # It becomes part of the image: no password of an address.
  printf '%s\n' "$1" | sed -E 's#(://)[^/@[:space:]]+@#\1***@#g' | cut -c 1-500 > "$notes/$name"
  echo "terok: $name is left out: $(cat "$notes/$name")"
  exit 0
}

# The last line that says something: npm and pip end with advice, and npm shows the inside of what went wrong.
reason() {
  grep -vE '^[[:space:]]*$|complete log of this run|^npm (notice|warn)|npm error( [0-9]+| network| code)?$' "$1" \
    | grep -vE 'Note that you can also|tarball, folder|behind a proxy|config is set properly|related to network conn' \
    | grep -vE '^npm error (\}| )' \
    | grep -vE '^\[notice\]|^WARNING: (Running|You are)' \
    | tail -n 1
}

mkdir -p "$notes" /usr/local/bin
rm -f "$notes/$name"
for required in "$@"; do
  if [ -e "$notes/$required" ]; then leave_out "it needs $required, which is left out"; fi
done

if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi
export HOME=/root USER=root TMPDIR=/run/terok-scratch
export NPM_CONFIG_CACHE=/run/terok-cache/npm PIP_CACHE_DIR=/run/terok-cache/pip
# The builder's own, and gone afterwards.
scratch=$(mktemp -d)
remember() { ls -A "$1" > "$scratch/$(basename "$1")"; }
take_away_what_is_new_in() {
  ls -A "$1" | while IFS= read -r entry; do
    if ! grep -qxF -- "$entry" "$scratch/$(basename "$1")"; then rm -rf "$1/$entry"; fi
  done
}
remember /usr/local/bin
remember /tmp

{ sh -eu "$here/install.sh" 2>&1 < /dev/null || touch "$scratch/failed"; } | tee "$scratch/log"

take_away_what_is_new_in /tmp
if [ -e "$scratch/failed" ]; then
  rm -rf "/opt/terok/agents/$name"
  take_away_what_is_new_in /usr/local/bin
  why=$(reason "$scratch/log")
  leave_out "${why:-its installation failed and said nothing}"
fi
