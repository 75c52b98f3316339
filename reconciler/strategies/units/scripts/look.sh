# What runs, read from systemd and from the process itself. Changes nothing, takes no lock.
main() {
    folder=$1 unit=$2 known=$3
    tries=0
    # A process that ends while it is looked at says nothing of what runs.
    until look || [ "$tries" -ge 5 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    printf '%s\n' "$shown" "$found"
}

look() {
    found=
    shown=$(TZ=UTC systemctl show --property=LoadState,ActiveState,SubState,Result,NRestarts \
        --property=InvocationID,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,MainPID \
        --property=StateChangeTimestamp -- "$unit") || failed "systemd does not answer"
    real=$(cd "$folder" 2>/dev/null && pwd -P) || return 0
    current=$(readlink "$folder/current" 2>/dev/null) || return 0
    deployed=$(readlink "$folder/deployed" 2>/dev/null) || return 0
    read_release "${deployed##*/}" || return 0
    [ "$name" = "${current##*/}" ] || return 0 # in the middle of a switch
    root=
    exe=
    subject=$folder/releases/$name/$binary # what would run, where no process does yet
    pid=$(running_process)
    [ "$pid" -eq 0 ] || program
    found="Release=$name
Deployment=${deployed##*/}
Commit=$commit
Digest=$digest
Pending=$(cat "$folder/pending" 2>/dev/null)
Reverted=$(cat "$folder/reverted" 2>/dev/null)
Image=$(cat "$folder/$deployed/image" 2>/dev/null)
Program=$exe"
    [ -z "$subject" ] || add_digest
    [ "$pid" -eq 0 ] || is_alive
}

# The main process; 0 where there is none, or it is systemd's own still.
running_process() {
    case $shown in
    *ActiveState=activating* | *ActiveState=inactive* | *ActiveState=failed*) echo 0 ;;
    *) printf '%s\n' "$shown" | sed -n 's/^MainPID=//p' ;;
    esac
}

# The digest is told only where the file is another one than that of the last look.
add_digest() {
    key=$($root stat -L -c %d:%i:%s:%Y:%Z -- "$subject" 2>/dev/null) || return 0
    found="$found
Key=$key"
    [ "$key" = "$known" ] || found="$found
Running=$($root sha256sum -- "$subject" 2>/dev/null | cut -c 1-64)"
}

# Sets subject to the file that the main process runs; empty where that can't be told.
program() {
    subject=
    [ "$(id -u)" -eq 0 ] || [ -r "/proc/$pid/exe" ] || root='sudo -n --'
    exe=$($root readlink "/proc/$pid/exe")
    exe=${exe% (deleted)}
    below=${exe#"$real/releases/"}
    if [ "$below" != "$exe" ] && [ "${below#*/}" = "$binary" ]; then
        subject=/proc/$pid/exe
    # An interpreter, or a program that the binary became: it counts as the current release where
    # it works with that and started after the switch to it, or was given its environment.
    elif { is_at_home && started_since_switch; } || has_environment; then
        subject=$folder/releases/$name/$binary
    fi
}

is_at_home() {
    home=$real/releases/$name/
    cwd=$($root readlink "/proc/$pid/cwd")
    case $exe in "$home"*) return 0 ;; esac
    case $cwd/ in "$home"*) return 0 ;; "$real/releases/"*) return 1 ;; esac
    tr '\0' '\n' <"/proc/$pid/cmdline" | grep -q -e "^$folder/current/" -e "^$home"
}

# The environment's link is switched last.
has_environment() {
    $root cat "/proc/$pid/environ" 2>/dev/null | tr '\0' '\n' |
        grep -qxF -e "RECONCILER_DEPLOYMENT=${deployed##*/}"
}

started_since_switch() {
    switched=$(cat "$folder/switched" 2>/dev/null) || return 1
    started=$(ticks_of "$pid")
    [ "${switched%% *}" != "$(boot)" ] || [ "${started:-0}" -gt "${switched##* }" ]
}

is_alive() {
    state=
    [ ! -r "/proc/$pid/stat" ] || IFS= read -r state 2>/dev/null <"/proc/$pid/stat"
    case ${state##*) } in '' | Z* | X*) return 1 ;; esac
}
