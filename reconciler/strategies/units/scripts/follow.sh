# How a build fares, and what it said from byte OFFSET on. Waits a little for something new.
main() {
    folder=$1 deployment=$2 builds=$3 offset=$4
    own=$folder/builds/$deployment
    tries=0
    until has_news; do
        tries=$((tries + 1))
        # Most of a redeployment's builds have nothing to do, and end at once.
        if [ "$tries" -le 5 ]; then sleep 0.02; else sleep 0.1; fi
    done
    size=$(size)
    end=$((size > offset + 65536 ? offset + 65536 : size))
    more=$((size > end))
    echo "$state"
    echo "$end $more"
    tail -c "+$((offset + 1))" "$own/log" 2>/dev/null | head -c "$((end - offset))"
    [ "$state" = running ] || [ "$more" -eq 1 ] || show_end
}

has_news() {
    ask
    [ "$state" != running ] || [ "$tries" -ge 25 ] ||
        { [ "$tries" -ge 10 ] && [ "$(size)" -gt "$offset" ]; }
}

# Sets state to `running`, `done STATUS`, or `lost` and what systemd has to say.
ask() {
    shown=$(systemctl show --property=LoadState,ActiveState,SubState,Result,ExecMainStatus \
        -- "$builds-$deployment.service") || failed "systemd does not answer"
    case $shown in
    *LoadState=not-found*) state="lost gone" ;;
    *Result=exit-code*) state="done ${shown#*ExecMainStatus=}" state=${state%%[!a-z0-9 ]*} ;;
    *ActiveState=active*SubState=exited*) state="done 0" ;;
    *ActiveState=failed* | *ActiveState=inactive*) state="lost ${shown#*Result=}" state=${state%%[!a-z -]*} ;;
    *) state=running ;;
    esac
}

size() { stat -c %s "$own/log" 2>/dev/null || echo 0; }

# What a build says is lost where it has no space to say it.
show_end() {
    if [ -s "$own/end" ]; then
        printf '\n… what it said in between was not kept …\n'
        cat "$own/end"
    fi
    free=$(df -Pk -- "$folder" | awk 'NR == 2 { print $4 }')
    [ "${free:-1024}" -ge 1024 ] || printf '\nno space is left on the disk of %s\n' "$folder"
}
