# Layer 1: the agents.
FROM {{parent}}

COPY {{programs}} /usr/local/bin/
