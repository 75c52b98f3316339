# What the host's own timer does: back to the deployment before, unless somebody confirmed.
main() {
    folder=$1 unit=$2 deployment=$3
    lock
    pending=$(cat "$folder/pending" 2>/dev/null) || return 0
    [ "${pending%% *}" = "$deployment" ] || return 0
    previous=${pending##* }
    by=${pending#* }
    # First, so that whoever comes up again knows; one that is killed from here on is started again.
    put "$folder/reverted" "$deployment $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    put "$folder/went_back" "${by%% *} $deployment"
    if [ "$previous" != - ]; then
        (activate "$previous")
    else
        rm -f "$folder/current" "$folder/deployed" "$folder/started" "$folder/switched"
        if [ -e "$folder/former" ]; then bring_former; else systemctl stop -- "$unit"; fi
    fi
    rm -f "$folder/pending"
}

bring_former() {
    if [ -s "$folder/former" ]; then install_unit "$folder/former"; else
        rm -f "$units/$unit"
        systemctl daemon-reload
    fi
    systemctl reset-failed -- "$unit" 2>/dev/null
    systemctl restart -- "$unit"
}
