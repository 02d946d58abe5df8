# {{title}}
FROM {{parent}}

USER root
{{{packages}}}
{{{node}}}
# Agents are what moves: another value installs them anew, and keeps what stands above.
ARG AGENT_CACHE_BUST=0
{{{agents}}}
USER dev
