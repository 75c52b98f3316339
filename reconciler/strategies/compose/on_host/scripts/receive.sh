# Make the repository that commits are pushed into: TREE OBJECT-FORMAT
# Safe to repeat, also after a kill.
main() {
    mkdir -p -- "$1"
    cd -- "$1"
    if ! git rev-parse --quiet --git-dir >/dev/null 2>&1; then
        git init --quiet --template= --initial-branch=main --object-format="$2"
    fi
}
