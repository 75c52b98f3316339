# Print the one-line files that were recorded, each as its name, a space and the line: FOLDER
main() {
    [ ! -L "$1" ] || return 0
    cd -- "$1" 2>/dev/null || return 0
    for name in *.sha commit; do
        if [ -f "$name" ] && [ ! -L "$name" ]; then
            printf '%s %s\n' "$name" "$(head -c 200 -- "$name" | head -n 1)"
        fi
    done
}
