# The switch. Where SECONDS is not 0 the host goes back by itself unless somebody confirms.
main() {
    folder=$1 unit=$2 deployment=$3 fence=$4 wanted_deployment=$5
    marker=$6 may_take_over=$7 seconds=$8 timer=$9
    shift 9
    lock
    claim "$deployment" "$fence"
    own "$unit" "$marker" "$may_take_over"
    read_release "$wanted_deployment" ||
        missing "deployment $wanted_deployment is not kept on the host any more"
    # Whoever forgets old ones sees that this one is needed as long as the one that brought it back.
    [ "$wanted_deployment" = "$deployment" ] ||
        put "$folder/deployments/$wanted_deployment/restored" "$deployment"
    arm "$1"
    if is_up; then
        echo "it runs already"
        return 0
    fi
    rm -f "$folder/reverted"
    activate "$wanted_deployment" || failed "systemctl can't restart $unit: $(last_words)"
    echo "switched"
}

is_up() {
    [ "$(readlink "$folder/current")" = "releases/$name" ] &&
        [ "$(readlink "$folder/deployed")" = "deployments/$wanted_deployment" ] &&
        [ "$(cat "$folder/started" 2>/dev/null)" = "$(fingerprint "$wanted_deployment")" ] &&
        cmp -s "$folder/deployments/$wanted_deployment/unit" "$units/$unit" &&
        systemctl --quiet is-active -- "$unit"
}

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
    put "$folder/revert.sh" "$1"
    put "$folder/pending" "$wanted_deployment $previous"
    as_root systemctl reset-failed -- "$timer.service" 2>/dev/null
    as_root systemd-run --quiet --collect --unit="$timer" --on-active="${seconds}s" \
        --timer-property=AccuracySec=100ms -- \
        /bin/sh "$folder/revert.sh" "$folder" "$unit" "$wanted_deployment" || {
        rm -f "$folder/pending"
        failed "the timer that would go back can't be started; nothing was changed"
    }
}

last_words() {
    as_root journalctl --unit="$unit" --lines=1 --output=cat --no-pager 2>/dev/null
}
