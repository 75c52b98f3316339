# Make the folder for what is kept in a work tree: FOLDER
main() {
    enter_kept "$1"
}
