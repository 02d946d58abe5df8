RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists \
    if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
