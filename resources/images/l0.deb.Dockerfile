# Layer 0: what every task needs, whichever agent works in it.
FROM {{base}}

USER root
ENV DEBIAN_FRONTEND=noninteractive
# Another value fetches the packages anew.
ARG PACKAGE_CACHE_BUST=0

# The package lists and archives stay in the builder's cache: not in the image, and not fetched twice. The lock on
# the first covers both; apt would clean one away from among its lists.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists \
    if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends \
        ca-certificates curl git iproute2 jq less openssh-client procps ripgrep socat sudo tmux vim-tiny \
    && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old

{{{common}}}
