# Put stdin into one file, and lines into others, each whole: FOLDER FILE BYTES [NAME LINE]…
# Older files of the second kind go.
main() {
    enter_kept "$1"
    rm -f -- ".$2.new"
    fill ".$2.new" "$3"
    sync -- ".$2.new"
    mv -fT -- ".$2.new" "$2"
    shift 3
    kept=/
    while [ $# -gt 0 ]; do
        rm -f -- ".$1.new"
        printf '%s\n' "$2" >".$1.new"
        mv -fT -- ".$1.new" "$1"
        kept=$kept$1/
        shift 2
    done
    for name in *.sha commit; do
        case $kept in
        */"$name"/*) ;;
        *) rm -f -- "$name" ;;
        esac
    done
}
