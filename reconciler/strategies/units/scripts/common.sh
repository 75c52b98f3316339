# What the steps share. Each step is this file, its own file and a call of `main`, sent to `sh -s`:
# as everything is a function, a script that arrives cut short does nothing at all.
#
#   folder/.lock            held by whatever changes something here
#   folder/fence            deployment and claim that came last; older ones are refused
#   folder/releases/NAME/   what runs, or ran
#   folder/deployments/N/   unit, environment and release (name, digest, commit, binary) of one
#   folder/current          → releases/NAME
#   folder/deployed         → deployments/N
#   folder/switched         boot and instant of the last switch; missing in its middle
#   folder/started          fingerprint of the deployment that was started last
#   folder/pending          what nobody confirmed yet, the deployment that brought it, what was before
#   folder/reverted         deployment that was not confirmed in time
#   folder/former           the unit file before our first one, where the daemon itself is the unit
#   folder/went_back        deployment whose switch of the daemon was taken back, and to what it was
#   folder/trouble          what went wrong with the last of those

set -u
umask 022
LC_ALL=C
export LC_ALL

units=/etc/systemd/system
waiting= # `--no-block`: the restart of a unit is not waited for

# The end of a step: a status that says what kind of thing is wrong, and why in one line.
refuse() {
    refused=$1
    shift
    printf '%s\n' "$*" >&2
    exit "$refused"
}

failed() { refuse 70 "$@"; }   # a command failed
stale() { refuse 71 "$@"; }    # another worker came since
taken() { refuse 72 "$@"; }    # something of that name is not ours
missing() { refuse 73 "$@"; }  # something on the host has to be put right by a person
dirty() { refuse 74 "$@"; }    # tracked files were changed by hand
unfit() { refuse 75 "$@"; }    # the commit, or what was built of it, does not fit
late() { refuse 76 "$@"; }     # the host went back already
busy() { refuse 77 "$@"; }     # somebody else holds the lock

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

require_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    for program in systemctl systemd-run install; do
        sudo -n -l -- "$program" >/dev/null 2>&1 ||
            missing "$(id -un) may not run $program as root without a password: see sudoers(5)"
    done
}

lock() {
    { exec 9>>"$folder/.lock"; } 2>/dev/null || missing "$folder/.lock can't be opened"
    flock -w 60 9 || busy "$folder is locked by another deployment"
}

# Write one line, whole or not at all.
put() {
    printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1" || failed "$1 can't be written: no space?"
}

# Refuse what an older worker sends: claim DEPLOYMENT FENCE
claim() {
    stored=$(cat "$folder/fence" 2>/dev/null) || stored=
    known_deployment=${stored%% *}
    known_fence=${stored##* }
    if [ "$1" -lt "${known_deployment:-0}" ] ||
        { [ "$1" -eq "${known_deployment:-0}" ] && [ "$2" -lt "${known_fence:-0}" ]; }; then
        stale "the host has heard of deployment $known_deployment, claim $known_fence;" \
            "deployment $1, claim $2 is older. If the daemon's records were restored from a" \
            "backup, set the target up again"
    fi
    [ "$stored" = "$1 $2" ] || put "$folder/fence" "$1 $2"
}

# Refuse to touch a unit that somebody else wrote: own UNIT MARKER MAY_TAKE_OVER
own() {
    [ "$3" = yes ] && return 0
    path=$(systemctl show --property=FragmentPath --value -- "$1") || path=
    [ -n "$path" ] || [ ! -e "$units/$1" ] || path=$units/$1
    [ -z "$path" ] || grep -qxF -e "$2" -- "$path" 2>/dev/null ||
        taken "$1 is there already ($path), and no deployment of ours wrote it"
}

boot() { cat /proc/sys/kernel/random/boot_id; }

# When a process started, in clock ticks since the host did; field 22 of proc(5), stat.
ticks_of() { sed -e 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# The same of a process that starts now, so that no clock is compared with another one.
ticks_now() { sed -e 's/.*) //' /proc/self/stat | cut -d ' ' -f 20; }

# Sets name, digest, commit and binary of a deployment.
read_release() {
    { read -r name && read -r digest && read -r commit && IFS= read -r binary; } \
        2>/dev/null <"$folder/deployments/$1/release"
}

fingerprint() {
    (cd "$folder/deployments/$1" && sha256sum release unit environment | sha256sum | cut -c 1-64)
}

# Whether a deployment, whose release was read, is what the unit was started as.
is_switched() {
    [ "$(readlink "$folder/current")" = "releases/$name" ] &&
        [ "$(readlink "$folder/deployed")" = "deployments/$1" ] &&
        [ "$(cat "$folder/started" 2>/dev/null)" = "$(fingerprint "$1")" ] &&
        cmp -s "$folder/deployments/$1/unit" "$units/$unit"
}

# What the unit's own processes said last; systemd's word, where they said nothing.
last_words() {
    said=$(as_root journalctl "_SYSTEMD_UNIT=$unit" --lines=1 --output=cat --no-pager 2>/dev/null)
    [ -z "$said" ] || { printf '%s\n' "$said" && return 0; }
    as_root journalctl --unit="$unit" --lines=1 --output=cat --no-pager 2>/dev/null
}

# Point the link $1 at $2 in one step.
link() {
    rm -f "$1.new"
    ln -s "$2" "$1.new" && mv -f -T "$1.new" "$1" || failed "$1 can't be switched: no space?"
}

install_unit() {
    fresh=no
    [ -e "$units/$unit" ] || fresh=yes
    if ! cmp -s -- "$1" "$units/$unit"; then
        as_root install -m 0644 -- "$1" "$units/.$unit.new" &&
            as_root mv -f -T -- "$units/.$unit.new" "$units/$unit" ||
            failed "$units/$unit can't be written"
        as_root systemctl daemon-reload || failed "systemd can't be told of $unit"
    elif [ "$(systemctl show --property=NeedDaemonReload --value -- "$unit")" = yes ]; then
        as_root systemctl daemon-reload || failed "systemd can't be told of $unit"
    fi
    [ "$fresh" = no ] || as_root systemctl --quiet enable -- "$unit" ||
        failed "$unit can't be enabled"
}

# Make the unit run a deployment that is complete here, whatever ran before. Safe to repeat.
activate() {
    read_release "$1" || missing "deployment $1 is not kept on the host any more"
    [ -e "$folder/releases/$name/$binary" ] ||
        missing "release $name is not on the host any more; deploy commit $commit again"
    wanted=$(fingerprint "$1")
    rm -f "$folder/started" "$folder/switched"
    install_unit "$folder/deployments/$1/unit"
    link "$folder/current" "releases/$name"
    link "$folder/deployed" "deployments/$1"
    put "$folder/switched" "$(boot) $(ticks_now)"
    sleep 0.02 # longer than a tick: what starts from here on started after the switch
    as_root systemctl reset-failed -- "$unit" 2>/dev/null
    as_root systemctl restart $waiting -- "$unit" || return 1
    put "$folder/started" "$wanted"
}

# Keep what the deployment is, so that going back to it needs nothing of ours.
own_deployment() {
    own=$folder/deployments/$deployment
    [ -e "$own/environment" ] || failed "the environment of deployment $deployment is not there"
    printf '%s' "$text" >"$own/unit.new" && mv -f "$own/unit.new" "$own/unit" &&
        printf '%s\n' "$name" "$digest" "$commit" "$binary" >"$own/release.new" &&
        mv -f "$own/release.new" "$own/release" || failed "$own can't be written: no space?"
}
