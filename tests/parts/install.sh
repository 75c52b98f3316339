#!/usr/bin/env bash
# Install the real components that the tests use, from Debian packages; what is there is left alone.
# Fast when nothing is missing. Prints one line for each thing it does, and nothing otherwise.
#
# Exit status: 0 when every part is there, 1 when one could not be installed here. Callers that may
# skip tests go on; the tests name what they skipped.
set -uo pipefail

log_file=$(mktemp)
trap 'rm -f "$log_file"' EXIT

say() { printf 'parts: %s\n' "$*"; }

# The log is shown only when a step fails: a green run has nothing to say.
quietly() {
  if ! "$@" >>"$log_file" 2>&1 </dev/null; then
    say "failed: $*"
    tail -n 20 "$log_file" >&2
    return 1
  fi
}

apt() {
  # RUNLEVEL=1 keeps invoke-rc.d from starting the services just installed: the tests start their own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive quietly apt-get -qq -o DPkg::Lock::Timeout=600 "$@"
}

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

has_postgresql() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

# Compose's Go rewrite is what users have; `docker compose` finds it as a plugin of the client.
has_compose() { docker compose version --short 2>/dev/null | grep -Eq '^v?([2-9]|[1-9][0-9])\.'; }

missing_packages() {
  has dockerd || echo docker.io
  has docker || { apt-cache show docker-cli >/dev/null 2>&1 && echo docker-cli || echo docker.io; }
  has iptables || echo iptables
  has docker-registry || echo docker-registry
  # The static build is the whole content of the tests' images; a dynamic /bin/busybox would not run.
  dpkg -s busybox-static >/dev/null 2>&1 || echo busybox-static
  has sshd || echo openssh-server
  has ssh || echo openssh-client
  has git || echo git
  # The post-receive hook speaks through either.
  has curl || echo curl
  has perl || echo perl
  has rsync || echo rsync
  has ip || echo iproute2
  has mmdebstrap || echo mmdebstrap
  has faketime || echo faketime
  has chromium-headless-shell || echo chromium-headless-shell
  has_postgresql || echo postgresql
}

# Print the Debian sources of this machine with the release's name replaced by trixie.
# The machine's own file is the model, so a mirror or a proxy configured here is used there too.
trixie_sources() {
  local release=$1 file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v release="$release" '
      BEGIN { RS = ""; FS = "\n" }
      $0 ~ "\nSuites:[^\n]*[ ]" release "([ \n]|$)" || $0 ~ "^Suites:[^\n]*[ ]" release "([ \n]|$)" {
        for (i = 1; i <= NF; i++) {
          if ($i ~ /^Suites:/) print "Suites: trixie"
          else if ($i !~ /^#/) print $i
        }
        print ""
      }' "$file"
  done
}

trixie_list() {
  local release=$1
  sed -nE "s/^(deb .*[[:space:]])${release}([[:space:]].*)$/\1trixie\2/p" \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null
}

# Compose 2 is not in bookworm (its docker-compose is the old 1.29), and installs alone from trixie.
add_trixie_source() {
  local release
  release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  [ "$release" = bookworm ] || return 0
  local directory=/etc/apt/sources.list.d
  local deb822 one_line
  deb822=$(trixie_sources "$release")
  one_line=$(trixie_list "$release")
  if [ -n "$deb822" ]; then
    printf '%s\n' "$deb822" >"$directory/reconciler-tests-trixie.sources"
  elif [ -n "$one_line" ]; then
    printf '%s\n' "$one_line" >"$directory/reconciler-tests-trixie.list"
  else
    say "no Debian source to model trixie's on"
    return 1
  fi
  # Below the 500 of the machine's own release: nothing else comes from there by itself.
  printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' \
    >/etc/apt/preferences.d/reconciler-tests-trixie
}

install_compose() {
  say "installing docker-compose"
  add_trixie_source && apt update || return 1
  if [ -e /etc/apt/preferences.d/reconciler-tests-trixie ]; then
    apt install --no-install-recommends -t trixie docker-compose || return 1
  else
    apt install --no-install-recommends docker-compose || return 1
  fi
  has_compose || link_compose_plugin
}

# A docker client from elsewhere may look for its plugins in another folder than Debian's.
link_compose_plugin() {
  local plugin
  for plugin in /usr/libexec/docker/cli-plugins/docker-compose /usr/bin/docker-compose; do
    [ -x "$plugin" ] || continue
    mkdir -p /usr/local/lib/docker/cli-plugins
    ln -sf "$plugin" /usr/local/lib/docker/cli-plugins/docker-compose
    has_compose && return 0
  done
  say "docker compose does not find its plugin"
  return 1
}

main() {
  local packages=()
  mapfile -t packages < <(missing_packages | sort -u)
  local compose_missing=0
  has_compose || compose_missing=1
  [ ${#packages[@]} -gt 0 ] || [ $compose_missing = 1 ] || return 0

  if [ "$(id -u)" != 0 ] || ! has apt-get; then
    [ $compose_missing = 0 ] || packages+=(docker-compose)
    say "missing, and not installed (that takes root on Debian): ${packages[*]}"
    return 1
  fi
  if [ ${#packages[@]} -gt 0 ]; then
    say "installing ${packages[*]}"
    apt update || return 1
    apt install --no-install-recommends "${packages[@]}" || return 1
  fi
  has_compose || install_compose
}

main "$@"
