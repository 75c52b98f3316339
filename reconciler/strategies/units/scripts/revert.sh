# What the host's own timer does: back to the deployment before, unless somebody confirmed.
main() {
    folder=$1 unit=$2 deployment=$3
    lock
    pending=$(cat "$folder/pending" 2>/dev/null) || return 0
    [ "${pending%% *}" = "$deployment" ] || return 0
    previous=${pending##* }
    if [ "$previous" = - ]; then
        systemctl stop -- "$unit"
        rm -f "$folder/current" "$folder/deployed" "$folder/started" "$folder/switched"
    else
        (activate "$previous")
    fi
    put "$folder/reverted" "$deployment $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    rm -f "$folder/pending"
}
