# What was verified stays: the timer is stopped, unless it fired.
main() {
    folder=$1 deployment=$2 fence=$3 wanted_deployment=$4 timer=$5
    lock
    claim "$deployment" "$fence"
    reverted=$(cat "$folder/reverted" 2>/dev/null) || reverted=
    [ "${reverted%% *}" != "$wanted_deployment" ] ||
        late "nobody confirmed in time: the host went back by itself at ${reverted##* }"
    [ "$(readlink "$folder/deployed")" = "deployments/$wanted_deployment" ] ||
        late "the host runs another deployment: $(readlink "$folder/deployed")"
    [ -e "$folder/pending" ] || return 0
    # What fires from here on waits for the lock, and then finds nothing to go back from.
    rm -f "$folder/pending" "$folder/former"
    as_root systemctl stop -- "$timer.timer" || true
}
