# The last lines that a unit wrote.
main() {
    as_root journalctl --unit="$1" --lines="$2" --output=cat --no-pager --quiet
}
