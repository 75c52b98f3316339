# Whether a deployment can be made ready here, and the folders for it.
main() {
    folder=$1 unit=$2 user=$3 deployment=$4 fence=$5 marker=$6 may_take_over=$7 builds_here=$8
    require_root
    [ -z "$user" ] || id -u -- "$user" >/dev/null 2>&1 ||
        missing "there is no user $user on the host: \`reconciler setup ${unit%.service}\` makes it"
    if [ ! -d "$folder" ]; then
        as_root install -d -m 0755 -o "$(id -un)" -- "$folder" || missing "$folder can't be made"
    fi
    [ -w "$folder" ] || missing "$folder does not belong to $(id -un)"
    lock
    claim "$deployment" "$fence"
    own "$unit" "$marker" "$may_take_over"
    mkdir -p "$folder/releases" || missing "$folder/releases can't be made: no space?"
    mkdir -p -m 0700 "$folder/deployments" || missing "$folder/deployments can't be made"
    mkdir -p "$folder/deployments/$deployment" || missing "$folder/deployments can't be written"
    [ "$builds_here" = no ] || make_source
    echo "space $(df -Pk -- "$folder" | awk 'NR == 2 { print $4 }')"
    find "$folder/releases" -mindepth 1 -maxdepth 1 -type d -name '*-*' ! -name '*.*' \
        -printf 'release %f\n'
}

# The repository lies beside the work tree: that one may belong to whoever builds in it.
make_source() {
    command -v git >/dev/null || missing "there is no git on the host"
    mkdir -p "$folder/source" "$folder/builds" &&
        git init --quiet --bare "$folder/repository.git" || missing "$folder can't be written: no space?"
}
