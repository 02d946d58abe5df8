# Layer 1: the agents.
FROM localhost/terok-l0:ubuntu-24.04

COPY terok-scripted /usr/local/bin/
