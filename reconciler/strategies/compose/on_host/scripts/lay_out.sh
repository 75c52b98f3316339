# Write the files of a commit into a folder of their own, beside the work tree: TREE COMMIT INTO
main() {
    cd -- "$1" 2>/dev/null || exit "$no_commit"
    GIT_INDEX_FILE=$GIT_DIR/laid-out.index
    export GIT_INDEX_FILE
    rm -rf -- "$GIT_INDEX_FILE" "$GIT_INDEX_FILE.lock" "$3"
    mkdir -p -- "$3"
    git read-tree "$2"
    git checkout-index --quiet --all --prefix="$3/"
    rm -f -- "$GIT_INDEX_FILE"
}
