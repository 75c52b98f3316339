# Drop a deployment and what is older, and every release that no other one needs.
main() {
    folder=$1 forgotten=$2 builds=$3
    [ -d "$folder/deployments" ] || return 0
    lock
    deployed=$(readlink "$folder/deployed") || deployed=
    pending=$(cat "$folder/pending" 2>/dev/null) || pending=
    for own in "$folder"/deployments/*; do
        number=${own##*/}
        last=$(cat "$own/restored" 2>/dev/null) || last=$number
        [ "$last" -le "$forgotten" ] || continue
        [ "$deployed" = "deployments/$number" ] || [ "${pending##* }" = "$number" ] ||
            drop "$number"
    done
    needed=$(cat "$folder"/deployments/*/release 2>/dev/null)
    drop_releases
    [ ! -d "$folder/repository.git" ] || drop_commits
}

drop() {
    rm -rf "$folder/deployments/$1"
    [ -d "$folder/builds/$1" ] || return 0
    as_root systemctl stop -- "$builds-$1.service" 2>/dev/null
    as_root systemctl reset-failed -- "$builds-$1.service" 2>/dev/null
    rm -rf "$folder/builds/$1"
}

drop_releases() {
    for release in "$folder"/releases/* "$folder"/releases/.[!.]*; do
        name=${release##*/}
        case $name in
        '*' | '.[!.]*') ;;
        # One that is on its way has no deployment yet.
        .* | *.partial) find "$release" -maxdepth 0 -mmin +1440 -exec rm -rf {} + ;;
        *) printf '%s\n' "$needed" | grep -qxF -e "$name" || as_root rm -rf "$release" ;;
        esac
    done
}

# Each was pushed without its history, so that it takes space of its own.
drop_commits() {
    git="git --git-dir=$folder/repository.git"
    for ref in $($git for-each-ref --format='%(refname)' refs/reconciler/); do
        printf '%s\n' "$needed" | grep -qxF -e "${ref##*/}" || $git update-ref -d "$ref"
    done
    $git -c gc.autoDetach=false gc --auto --quiet
}
