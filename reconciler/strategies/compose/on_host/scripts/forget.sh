# Let go of files and of commits: TREE PATH-OR-COMMIT…
# What nothing names any more, git removes when it sees fit.
main() {
    cd -- "$1" 2>/dev/null || return 0
    [ ! -L .deploy ] || return 0
    shift
    for one; do
        case $one in
        */*) rm -f -- "$one" ;;
        *) [ ! -d "$GIT_DIR" ] || git update-ref -d "refs/reconciler/$one" ;;
        esac
    done
    [ ! -d "$GIT_DIR" ] || git gc --quiet --auto
}
