# Layer 0: what every task needs, whichever agent works in it.
FROM {{base}}

USER root
# Another value fetches the packages anew.
ARG PACKAGE_CACHE_BUST=0

# The second list is not everywhere to be had (Enterprise Linux keeps some of it elsewhere). An interactive task is
# a plain terminal where there is no tmux. curl is named so that it takes the place of a smaller one.
RUN --mount=type=cache,target=/run/terok-cache,sharing=locked \
    if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi \
    && dnf="dnf -y --setopt=install_weak_deps=False --setopt=keepcache=True --setopt=cachedir=/run/terok-cache/dnf ${SSL_CERT_FILE:+--setopt=sslcacert=$SSL_CERT_FILE}" \
    && $dnf install --allowerasing \
        ca-certificates curl diffutils findutils git iproute jq less openssh-clients procps-ng shadow-utils socat \
        sudo tar util-linux vim-minimal which \
    && for package in ripgrep tmux; do $dnf install "$package" || echo "there is no $package here"; done \
    && rm -rf /var/log/dnf* /var/log/hawkey.log

{{{common}}}
