# Layer 0: what every task needs, whichever agent works in it.
FROM {{base}}

USER root
ENV DEBIAN_FRONTEND=noninteractive
# Another value fetches the packages anew.
ARG PACKAGE_CACHE_BUST=0

# The package lists and archives stay in the builder's cache: not in the image, and not fetched twice. One mount
# for everything: builders (1.28) give only one lock of a step back, and would wait for the others for ever.
RUN --mount=type=cache,target=/run/terok-cache,sharing=locked \
    if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi \
    && mkdir -p /run/terok-cache/apt/archives/partial /run/terok-cache/apt-lists/partial \
    && apt='apt-get -qq -o Dir::Cache=/run/terok-cache/apt -o Dir::State::Lists=/run/terok-cache/apt-lists' \
    && $apt update \
    && $apt install -y --no-install-recommends \
        ca-certificates curl git iproute2 jq less openssh-client procps ripgrep socat sudo tmux vim-tiny \
    && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old

{{{common}}}
