# Layer 0: what every task needs, whichever agent works in it.
FROM docker.io/library/fedora:41

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

# The person inside: uid 1000, taken over where the base has one. sudo is proven, not assumed.
RUN if entry="$(getent group 1000)"; then groupmod --new-name dev "${entry%%:*}"; else groupadd --gid 1000 dev; fi \
    && if entry="$(getent passwd 1000)"; then \
         usermod --login dev --home /home/dev --move-home --shell /bin/bash "${entry%%:*}"; \
       else useradd --uid 1000 --gid 1000 --create-home --home-dir /home/dev --shell /bin/bash dev; fi \
    && echo 'dev ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/dev \
    && chmod 0440 /etc/sudoers.d/dev \
    && visudo -cqf /etc/sudoers.d/dev \
    && install -d -o dev -g dev -m 0755 /workspace \
    && su dev -c 'sudo -n true'

# What is mounted below them must not make parents that belong to root.
RUN cd /home/dev && install -d -o dev -g dev -m 0755 .cache .config .local .local/share .local/state

COPY gitconfig /etc/gitconfig
COPY profile.sh /etc/profile.d/terok.sh
COPY container-tmux.conf /etc/tmux.conf
COPY terok-init terok-git-credential /usr/local/bin/

# The wrappers of the agents first, then where the base keeps its programs.
ENV PATH=/etc/terok/bin:${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
ENV HOME=/home/dev USER=dev LANG=C.UTF-8 REPO_ROOT=/workspace GIT_RESET_MODE=none
WORKDIR /workspace
USER dev
# A base's own entry point would stand before every command of ours.
ENTRYPOINT []
CMD ["terok-init", "interactive"]
