# The switch. Where SECONDS is not 0 the host goes back by itself unless somebody confirms.
main() {
    folder=$1 unit=$2 deployment=$3 fence=$4 wanted_deployment=$5
    marker=$6 may_take_over=$7 seconds=$8 timer=$9
    shift 9
    revert=$1
    shift
    lock
    claim "$deployment" "$fence"
    own "$unit" "$marker" "$may_take_over"
    read_release "$wanted_deployment" ||
        missing "deployment $wanted_deployment is not kept on the host any more"
    # Whoever forgets old ones sees that this one is needed as long as the one that brought it back.
    [ "$wanted_deployment" = "$deployment" ] ||
        put "$folder/deployments/$wanted_deployment/restored" "$deployment"
    if is_us "$1"; then
        replace_us "$@"
        return 0
    fi
    arm
    if is_up; then
        echo "it runs already"
        return 0
    fi
    rm -f "$folder/reverted"
    activate "$wanted_deployment" || failed "systemctl can't restart $unit: $(last_words)"
    echo "switched"
}

is_up() { is_switched "$wanted_deployment" && systemctl --quiet is-active -- "$unit"; }

# Start the timer that goes back, or stop it where this is the way back.
arm() {
    previous=$(readlink "$folder/deployed" 2>/dev/null) || previous=-
    previous=${previous##*/}
    if pending=$(cat "$folder/pending" 2>/dev/null); then previous=${pending##* }; fi
    as_root systemctl stop -- "$timer.timer" 2>/dev/null
    if [ "$seconds" -eq 0 ] || [ "$previous" = "$wanted_deployment" ]; then
        rm -f "$folder/pending"
        return 0
    fi
    put "$folder/pending" "$wanted_deployment $deployment $previous"
    start_timer "$wanted_deployment" || {
        rm -f "$folder/pending"
        failed "the timer that would go back can't be started; nothing was changed"
    }
}

start_timer() {
    put "$folder/revert.sh" "$revert"
    as_root systemctl reset-failed -- "$timer.service" 2>/dev/null
    # One that is killed halfway goes on.
    as_root systemd-run --quiet --collect --unit="$timer" --on-active="${seconds}s" \
        --timer-property=AccuracySec=100ms --property=Restart=on-failure --property=RestartSec=5 \
        -- /bin/sh "$folder/revert.sh" "$folder" "$unit" "$1"
}

# ── Where the unit is the daemon itself ───────────────────────────────────────────────────────────

# Whether whoever sent us runs in the unit: is_us INVOCATION
is_us() {
    [ -n "$1" ] && [ "$(systemctl show --property=InvocationID --value -- "$unit")" = "$1" ]
}

# What restarts us would be ended in its middle, so that something else has to do it:
# replace_us INVOCATION RUNNING PATIENCE HELPER SCRIPT
replace_us() {
    invocation=$1 running=$2 helper=$4 switch=$5
    [ "$seconds" -ne 0 ] || seconds=$3
    [ "$(cat "$folder/went_back" 2>/dev/null)" != "$deployment $wanted_deployment" ] ||
        late "the new version did not hold, and the host went back: $(cat "$folder/trouble")"
    pending=$(cat "$folder/pending" 2>/dev/null) || pending=
    if [ "$running" = "$wanted_deployment" ] &&
        [ "$(readlink "$folder/deployed")" = "deployments/$wanted_deployment" ]; then
        echo "it runs already"
    elif [ -n "$pending" ] && [ "${pending##* }" = "$wanted_deployment" ]; then
        put "$folder/trouble" "it was not well once it ran"
        # The timer's own service; after a restart of the machine there is none.
        as_root systemctl start --no-block -- "$timer.service" 2>/dev/null ||
            { seconds=0 && start_timer "${pending%% *}"; } || failed "nothing can go back for us"
        echo "handed over to $timer"
    else
        [ "${pending%% *}" = "$wanted_deployment" ] || prepare_switch
        hand_over
    fi
}

prepare_switch() {
    put "$folder/trouble" "it was not ready in time"
    rm -f "$folder/reverted"
    [ -e "$folder/deployed" ] || keep_former
    arm
}

# What ran before the first deployment: there is no other way back to it.
keep_former() {
    if [ -e "$units/$unit" ]; then
        cp -- "$units/$unit" "$folder/former.new" && mv -f "$folder/former.new" "$folder/former" ||
            failed "$folder/former can't be written: no space?"
    else
        : >"$folder/former" # it is elsewhere, and ours goes before it
    fi
}

hand_over() {
    put "$folder/self_update.sh" "$switch"
    as_root systemctl --quiet is-active -- "$helper" ||
        as_root systemd-run --quiet --collect --unit="$helper" \
            --property=Restart=on-failure --property=RestartSec=1 -- /bin/sh \
            "$folder/self_update.sh" "$folder" "$unit" "$wanted_deployment" "$timer" "$invocation" ||
        failed "$helper can't be started; nothing was changed"
    echo "handed over to $helper"
}
