# Make the work tree hold a commit; untracked files stay: TREE COMMIT LINE-TO-IGNORE
# Safe to repeat, also after a kill: what was begun is on record, and what git left half written
# then is no change by hand.
begun=$GIT_DIR/reconciler-switching

main() {
    cd -- "$1" 2>/dev/null || exit "$no_commit"
    git cat-file -e "$2^{commit}" 2>/dev/null || exit "$no_commit"
    prepare "$3"
    [ ! -e "$begun" ] || finish
    names=$(differing)
    refuse_changed "$names"
    printf '%s\n' "$2" >"$begun.new"
    sync -- "$begun.new"
    mv -f -- "$begun.new" "$begun"
    check_out "$2"
    rm -f -- "$begun"
}

# The repository may be new, or half made by a killed one.
prepare() {
    mkdir -p "$GIT_DIR/info"
    if ! grep -qxF -e "$1" "$GIT_DIR/info/exclude" 2>/dev/null; then
        printf '%s\n' "$1" >>"$GIT_DIR/info/exclude"
    fi
    if ! git rev-parse --quiet --verify HEAD >/dev/null; then
        # Where there is no commit yet, git would overwrite what is in its way.
        start=$(git commit-tree -m 'Before the first deployment' "$(git mktree </dev/null)")
        git update-ref --no-deref HEAD "$start"
    fi
}

# Bring in whole what a killed switch began, if nothing else was changed since.
finish() {
    rm -f "$GIT_DIR/index.lock" "$GIT_DIR/HEAD.lock"
    past=$(cat -- "$begun")
    git diff --name-only --no-renames HEAD "$past" -- >"$begun.files"
    names=$(differing)
    refuse_changed "$(printf '%s\n' "$names" | grep -vxF -f "$begun.files" || true)"
    # Nothing is lost, should somebody have edited one of these meanwhile.
    kept=$(git stash create 2>/dev/null) || kept=
    [ -z "$kept" ] || git update-ref refs/reconciler-interrupted "$kept"
    git checkout --quiet --force --detach "$past"
    rm -f -- "$begun" "$begun.files"
}

differing() {
    git update-index -q --refresh >/dev/null || true
    git diff-index --name-only --no-renames --ignore-submodules=all HEAD --
}

refuse_changed() {
    [ -n "$1" ] || return 0
    printf '%s\n' "$1"
    exit "$changed"
}

check_out() {
    if said=$(git checkout --quiet --no-overwrite-ignore --detach "$1" 2>&1); then return 0; fi
    # Files in its way it names after a tab each, before it changes anything.
    names=$(printf '%s\n' "$said" | sed -n 's/^\t//p')
    if [ -n "$names" ]; then
        rm -f -- "$begun"
        printf '%s\n' "$names"
        exit "$in_the_way"
    fi
    printf '%s\n' "$said" >&2
    exit 1
}
