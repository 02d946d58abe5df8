RUN --mount=type=cache,target=/run/terok-cache,sharing=locked \
    if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi \
    && mkdir -p /run/terok-cache/apt/archives/partial /run/terok-cache/apt-lists/partial \
    && apt='apt-get -qq -o Dir::Cache=/run/terok-cache/apt -o Dir::State::Lists=/run/terok-cache/apt-lists' \
    && $apt update \
    && $apt install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
