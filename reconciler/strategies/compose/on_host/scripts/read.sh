# Print files below a folder, one a line: TREE BYTES PATH…
# `-` where there is none, `!` where it is no regular file or leads out, `?` where we may not read it,
# else `+` and its first bytes in base64. Nothing if the folder is not there.
main() {
    cd -- "$1" 2>/dev/null || return 0
    root=$(pwd -P)
    most=$2
    shift 2
    for path; do
        real=$(realpath -m -- "./$path")
        case $real in
        "$root"/*) show "$real" ;;
        *) echo '!' ;;
        esac
    done
}

show() {
    if [ ! -e "$1" ]; then
        echo '-'
    elif [ ! -f "$1" ]; then
        echo '!'
    elif [ ! -r "$1" ]; then
        echo '?'
    else
        show_opened "$1" <"$1"
    fi
}

# The path was resolved: if it leads elsewhere by now, somebody put a link there since.
show_opened() {
    if [ "$(readlink /proc/self/fd/0)" = "$1" ]; then
        printf '+'
        head -c "$most" | base64 | tr -d '\n'
        echo
    else
        echo '!'
    fi
}
