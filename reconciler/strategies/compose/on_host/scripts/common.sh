# What the scripts share. Each is this file, its own file and a call of `main`: as everything is a
# function, a script that arrives cut short does nothing at all.
#
#   folder/source/     the work tree, without a repository in it
#   folder/repository.git/  the repository that commits are pushed into
#   folder/.private/   what compose has to read and nobody else may; there while it runs
#   folder/.lock       held by what changes the project
#   folder/.fence      number of the newest claim that was here; older ones are refused
#
# Hosts are taken for Linux with GNU coreutils, util-linux and git 2.29 or newer.

set -eu
umask 022

# Exit statuses that say what is wrong; `shell.py` has the same list.
fenced=76 no_commit=77 changed=78 in_the_way=79

git() {
    command git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.quotePath=false \
        -c submodule.recurse=false -c gc.autoDetach=false "$@"
}

# Go to the folder for what is kept in a work tree, and let nobody lead us elsewhere by a link.
enter_kept() {
    mkdir -p -- "$1"
    if [ -L "$1" ]; then
        echo "$1 is a symbolic link; it must be a folder of ours" >&2
        exit 1
    fi
    cd -- "$1"
}

# Put stdin into a new file: fill FILE BYTES
fill() {
    cat >"$1"
    if [ "$(wc -c <"$1")" -ne "$2" ]; then
        echo "$1 did not arrive whole" >&2
        exit 1
    fi
}
