# Check the commit out and start its build in a transient unit, unless that was done already.
main() {
    folder=$1 deployment=$2 fence=$3 commit=$4 below=$5 user=$6 builds=$7 seconds=$8
    shift 8
    lock
    claim "$deployment" "$fence"
    own=$folder/builds/$deployment
    if was_started; then
        echo "found"
        return 0
    fi
    stop_others
    check_out
    [ -d "$folder/source/$below" ] || unfit "commit $commit has no folder $below"
    start "$@"
    echo "started"
}

was_started() {
    [ "$(cat "$own/commit" 2>/dev/null)" = "$commit" ] &&
        [ "$(systemctl show --property=LoadState --value -- "$builds-$deployment.service")" = loaded ]
}

# A build of another commit works in the same folder.
stop_others() {
    for other in "$folder"/builds/*; do
        [ -d "$other" ] || continue
        as_root systemctl stop -- "$builds-${other##*/}.service" 2>/dev/null
        as_root systemctl reset-failed -- "$builds-${other##*/}.service" 2>/dev/null
        as_root rm -rf "$other"
    done
}

# git, told to trust nothing that it finds. The work tree may belong to somebody else than its
# repository, who could otherwise have us run what its configuration says, or a submodule's.
source_git() {
    as_root env -i PATH="$PATH" HOME=/nonexistent LC_ALL=C GIT_CONFIG_NOSYSTEM=1 \
        GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 \
        git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.bare=false \
        -c core.checkStat=minimal -c core.trustctime=false -c core.quotePath=false \
        -c advice.detachedHead=false -c submodule.recurse=false -c safe.directory='*' \
        --git-dir="$folder/repository.git" --work-tree="$folder/source" "$@"
}

# A checkout that was cut off leaves files of both commits, which nobody changed by hand.
check_out() {
    as_root rm -f "$folder/repository.git/index.lock"
    if [ -e "$folder/checking-out" ]; then
        how=--force
    else
        how=
        changed=$(source_git status --porcelain --untracked-files=no --ignore-submodules=all) ||
            failed "git can't read $folder/source"
        [ -z "$changed" ] || refuse_changed "$changed"
    fi
    put "$folder/checking-out" "$commit"
    said=$(source_git checkout --quiet $how --detach "$commit" 2>&1) || refuse_checkout "$said"
    as_root find "$folder/source" ! -user "${user:-root}" \
        -exec chown -h -- "${user:-root}" {} + || failed "$folder/source can't be given away"
    rm -f "$folder/checking-out"
}

refuse_changed() {
    printf '%s\n' "$1" | sed -e 's/^...//' | head -n 20
    dirty "$(printf '%s\n' "$1" | wc -l) tracked files of $folder/source were changed by hand"
}

refuse_checkout() {
    case $1 in
    *untracked*overwritten*) # which git finds before it changes anything
        rm -f "$folder/checking-out"
        printf '%s\n' "$1" | sed -n -e 's/^\t//p' | head -n 20
        dirty "files that are not git's lie where commit $commit has its own in $folder/source"
        ;;
    esac
    failed "commit $commit can't be checked out: $(printf '%s\n' "$1" | tail -n 1)"
}

# Start the build: first the arguments of systemd-run, then --, then the command. Its unit stays
# when it has ended, and knows how: also where the disk has no space to write that down.
start() {
    [ $# -ne 0 ] || return 0 # nothing has to be built
    mkdir -p "$own" "$folder/home" && write_runner >"$own/run.sh" && : >"$own/log" &&
        : >"$own/end" && echo "$commit" >"$own/commit" || failed "$own can't be written: no space?"
    # The files are theirs, their folder is not: a link in its place would show us what it likes.
    as_root chown -- "${user:-root}" "$own/log" "$own/end" "$folder/home" ||
        failed "$own can't be given away"
    as_root systemd-run --quiet --unit="$builds-$deployment" --remain-after-exit \
        ${user:+"--property=User=$user"} \
        --property=WorkingDirectory="$folder/source/$below" \
        --property=RuntimeMaxSec="$seconds" --property=TimeoutStopSec=10 \
        --setenv=HOME="$folder/home" "$@" || failed "the build can't be started"
}

# Runs a build, and ends as it does; keeps the first bytes of what it says, and the last ones. The
# build never waits for a reader, not even for one that has no space to write.
write_runner() {
    cat <<'END'
own=$1 limit=$2
shift 2
slow=
command -v stdbuf >/dev/null && slow='stdbuf -o0'
keep() {
    $slow head -c "$limit" >"$own/log"
    tail -c 65536 >"$own/end"
}
exec </dev/null
status=$({ { "$@" 2>&1 3>&-; echo $? >&3; } | keep 3>&-; } 3>&1)
exit "$status"
END
}
