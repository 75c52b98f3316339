# Run a command, unless a newer claim was here before: FENCE-FILE CLAIM COMMAND…
# The caller holds the lock.
main() {
    seen=$(cat -- "$1" 2>/dev/null) || seen=
    case $seen in '' | *[!0-9]*) seen=0 ;; esac
    [ "$2" -ge "$seen" ] || exit "$fenced"
    if [ "$2" -gt "$seen" ]; then
        printf '%s\n' "$2" >"$1.new"
        mv -f -- "$1.new" "$1"
    fi
    shift 2
    exec "$@"
}
