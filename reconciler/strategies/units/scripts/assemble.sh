# What was built becomes a release. Prints its name and the digest of its binary.
main() {
    folder=$1 deployment=$2 fence=$3 commit=$4 builds=$5 below=$6 binary=$7 text=$8
    shift 8
    lock
    claim "$deployment" "$fence"
    settle
    built=$folder/source/$below
    built=${built%/}
    real=$(cd "$built" && pwd -P) || unfit "commit $commit has no folder $below"
    [ -f "$built/$binary" ] && [ "$(readlink -f -- "$built/$binary")" = "$real/$binary" ] ||
        unfit "the build left no file $binary"
    new=$folder/releases/.$deployment
    as_root rm -rf "$new"
    mkdir "$new" || failed "$folder/releases can't be written: no space?"
    for one in "$binary" "$@"; do take "$one"; done
    chmod -R u+rwX,go+rX,go-w "$new" && chmod 0755 "$new/$binary" ||
        failed "$new can't be made readable"
    refuse_links
    digest=$(sha256sum <"$new/$binary" | cut -c 1-64)
    name_it "$#"
    own_deployment
    publish
    echo "$name $digest"
}

# What the build left at work has fewer rights than we: it must not lead us elsewhere meanwhile.
settle() {
    as_root systemctl kill --signal=SIGKILL -- "$builds-$deployment.service" 2>/dev/null
    as_root chown -hR "$(id -un)" "$folder/source" || failed "$folder/source can't be taken back"
}

is_inside() {
    case $(readlink -f -- "$1") in "$real"/*) return 0 ;; esac
    return 1
}

take() {
    [ -e "$built/$1" ] || unfit "the build left no $1"
    is_inside "$built/$1" || unfit "$1 leads out of the source folder"
    case $1 in */*) mkdir -p "$new/${1%/*}" ;; esac &&
        cp -R -P -T -- "$built/$1" "$new/$1" || failed "$1 can't be copied: no space?"
}

refuse_links() {
    out=$(find "$new" -type l -exec sh -c '
        new=$1
        shift
        for one; do
            case $(readlink -m -- "$one") in "$new"/*) ;; *) printf "%s\n" "${one#"$new/"}" ;; esac
        done' sh "$(readlink -f "$new")" {} + | head -n 1)
    [ -z "$out" ] || unfit "$out is a link that leads out of the release"
}

name_it() {
    name=$(printf %.12s "$commit")-$(printf %.12s "$digest")
    [ "$1" -eq 0 ] || name=$name-$(content | sha256sum | cut -c 1-8)
}

content() {
    (cd "$new" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
    (cd "$new" && find . -type l -printf '%p -> %l\n' | sort)
}

publish() {
    if [ -d "$folder/releases/$name" ]; then
        rm -rf "$new"
        return 0
    fi
    sync -f "$new" 2>/dev/null || sync
    mv -T "$new" "$folder/releases/$name" || failed "release $name can't be renamed"
}
