# Runs a server as long as its owner lives. $1 is the program. $2 is its directory, or a template for mktemp. $3 is a flag of the
# program, such as --sentinel, or empty.
#
# Standard input is a pipe that only the owner holds open. However the owner ends, even by SIGKILL, the pipe closes. Then the
# server is killed and its directory removed. The directory is made here, so nothing can happen between making it and watching
# over it. The first line on the pipe starts the server, with the variables that it names. A second line keeps the directory.
trap '' HUP INT PIPE QUIT TERM
PATH="${PATH:+$PATH:}/usr/bin:/bin"
directory=$2
case $2 in
*XXXXXX) directory=$(mktemp -d "$2" 2>&1) || { printf '%s\0' "$directory"; exit 1; } ;;
esac
printf '%s\0' "$directory"
keep=
if read -r run variables && cd "$directory"; then
    set -- "$1" "$directory/server.conf" ${3:+"$3"}
    # Several words without white space.
    [ -z "$variables" ] || set -- env $variables "$@"
    "$@" </dev/null 2>&1 &
    server=$!
    # From here on, only the server holds the pipe of its output, so the owner notices at once when it dies.
    exec >/dev/null 2>&1
    read -r keep
    kill -KILL "$server"
    # Where the program is a wrapper script, the server is another process, which wrote its own pid.
    read -r inner <"$directory/server.pid"
    if [ -n "$inner" ] && [ "$inner" != "$server" ]; then
        # Its data may be on another disk. Then only its command line shows that it is the server.
        while [ "/proc/$inner/cwd" -ef "$directory" ] || grep -qsF "$directory/server.conf" "/proc/$inner/cmdline"; do
            kill -KILL "$inner"
            sleep 0.01
        done
    fi
    wait "$server"
    # What libfaketime leaves when its process is killed.
    rm -f "/dev/shm/faketime_shm_$server" "/dev/shm/sem.faketime_sem_$server"
fi
[ -n "$keep" ] && exit
# A child that writes a snapshot outlives a killed server for a moment, and may make a file meanwhile.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$directory" && exit
    sleep 0.05
done
