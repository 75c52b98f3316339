# What replaces the daemon, from outside of it: the switch, and an eye on how the new one starts. It
# stays when that says so (`confirm`); until then one that ends, or the timer, brings the old one back.
main() {
    folder=$1 unit=$2 wanted_deployment=$3 timer=$4 old=$5
    lock
    is_pending || return 0
    read_release "$wanted_deployment" || missing "deployment $wanted_deployment is not there"
    waiting=--no-block
    is_switched "$wanted_deployment" || activate "$wanted_deployment" ||
        go_back "$unit can't be restarted"
    exec 9>&-
    while is_pending; do
        look
        sleep 0.3
    done
}

is_pending() {
    pending=$(cat "$folder/pending" 2>/dev/null) && [ "${pending%% *}" = "$wanted_deployment" ]
}

# One that ended once would have done so for everybody who waits for it.
look() {
    shown=$(systemctl show --property=InvocationID,ActiveState,NRestarts,Job -- "$unit") || return 0
    case $shown in *InvocationID="$old"*) return 0 ;; esac
    case $shown in
    *NRestarts=0*) ;;
    *) go_back "it ended, and was started again: $(last_words)" ;;
    esac
    case $shown in
    *Job=[1-9]*) ;; # on its way
    *ActiveState=failed* | *ActiveState=inactive*) go_back "it ended: $(last_words)" ;;
    esac
}

go_back() {
    put "$folder/trouble" "$1"
    systemctl start --no-block -- "$timer.service"
    exit 0
}
