# A release that was sent becomes one that can be switched to.
main() {
    folder=$1 deployment=$2 fence=$3 name=$4 digest=$5 commit=$6 binary=$7 text=$8
    lock
    claim "$deployment" "$fence"
    release=$folder/releases/$name
    [ -d "$release" ] || release=$release.partial
    [ -f "$release/$binary" ] || failed "release $name did not arrive whole"
    found=$(sha256sum <"$release/$binary" | cut -c 1-64)
    [ "$found" = "$digest" ] || missing "$release/$binary was changed: it should be" \
        "sha256:$digest and is sha256:$found; remove that release, and deploy again"
    chmod 0755 "$release/$binary" || failed "$release/$binary can't be made executable"
    own_deployment
    if [ "$release" != "$folder/releases/$name" ]; then
        # Before its name says that it is whole, it is: also after the host lost its power.
        sync -f "$release" 2>/dev/null || sync
        mv -T "$release" "$folder/releases/$name" || failed "release $name can't be renamed"
    fi
}
