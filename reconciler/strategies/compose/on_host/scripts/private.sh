# Put stdin into a new file that nobody else may read: FOLDER PATH BYTES SWEEP
# The folder is made if need be; SWEEP is `yes` where what a kill left in it goes first.
main() {
    mkdir -p -- "$(dirname -- "$1")"
    [ "$4" = no ] || rm -rf -- "$1"
    umask 077
    mkdir -p -- "$(dirname -- "$1/$2")"
    fill "$1/$2" "$3"
}
