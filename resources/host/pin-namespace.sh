#!/bin/sh
# Runs inside a network namespace nobody else knows of yet. Loads the rules from standard input, prints what
# the kernel made of them, and only then gives the namespace its name: a pin never exists without rules.
set -eu
pin=$1
ip link set lo up
nft -f -
nft -j list ruleset
mount --bind /proc/self/ns/net "$pin"
