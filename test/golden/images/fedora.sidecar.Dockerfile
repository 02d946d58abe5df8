# Tools that get a real credential, without agents.
FROM localhost/terok-l0:fedora-41

USER root
# Agents are what moves: another value installs them anew, and keeps what stands above.
ARG AGENT_CACHE_BUST=0
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    --mount=type=cache,target=/run/terok-cache,sharing=locked \
    sh /run/terok-agents/install-agent.sh sidecar-tool cddfdee87423c062
USER dev
