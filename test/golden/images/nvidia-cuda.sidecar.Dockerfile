# Tools that get a real credential, without agents.
FROM localhost/terok-l0:nvidia-cuda-12.6.0-devel-ubuntu24.04

USER root
# Agents are what moves: another value installs them anew, and keeps what stands above.
ARG AGENT_CACHE_BUST=0
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    --mount=type=cache,target=/run/terok-cache,sharing=locked \
    sh /run/terok-agents/install-agent.sh sidecar-tool 6f0f534b61b06d8c
USER dev
