# A fresh machine becomes one that the target can be deployed to. Says what it did.
main() {
    folder=$1 unit=$2 user=$3 project=$4 marker=$5 may_take_over=$6 text=$7
    require_root
    own "$unit" "$marker" "$may_take_over"
    if [ -n "$user" ]; then set_up_user; fi
    for one in "$folder" "$folder/releases"; do
        set_up_folder "$one" 0755
    done
    set_up_folder "$folder/deployments" 0700
    lock
    rm -f "$folder/fence" # somebody who sets it up knows who deploys from now on
    set_up_unit
}

set_up_user() {
    if id -u -- "$user" >/dev/null 2>&1; then
        echo "user $user is there already"
        return 0
    fi
    as_root useradd --system --user-group --no-create-home --home-dir "/var/lib/$project" \
        --shell /usr/sbin/nologin -- "$user" || failed "user $user can't be made"
    echo "made user $user"
}

set_up_folder() {
    if [ -d "$1" ] && [ -O "$1" ]; then
        echo "$1 is there already"
        return 0
    fi
    as_root install -d -m "$2" -o "$(id -un)" -- "$1" || failed "$1 can't be made: no space?"
    echo "made $1"
}

set_up_unit() {
    printf '%s' "$text" >"$folder/.unit" || failed "$folder can't be written: no space?"
    if cmp -s -- "$folder/.unit" "$units/$unit"; then
        echo "$unit is there already"
    elif [ -L "$folder/deployed" ] && [ -e "$units/$unit" ]; then
        echo "$unit is there already; what changed of it comes with the next deployment"
    else
        install_unit "$folder/.unit"
        echo "wrote $units/$unit"
    fi
    rm -f "$folder/.unit"
    if systemctl --quiet is-enabled -- "$unit" 2>/dev/null; then
        echo "$unit starts with the machine"
    else
        as_root systemctl --quiet enable -- "$unit" || failed "$unit can't be enabled"
        echo "enabled $unit: it starts with the machine"
    fi
}
