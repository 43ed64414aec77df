# Runs a server for as long as its owner lives: $1 is the program, $2 its directory, or a template to make one from.
#
# Standard input is a pipe that only the owner holds open. However the owner ends, SIGKILL included, the pipe closes,
# and that is the signal to kill the server and remove its directory. So that no directory is ever without one who
# removes it, it is made here. The first line on the pipe starts the server, with the variables that
# it names; a second one keeps the directory.
trap '' HUP INT PIPE QUIT TERM
PATH="${PATH:+$PATH:}/usr/bin:/bin"
directory=$2
case $2 in
*XXXXXX) directory=$(mktemp -d "$2" 2>&1) || { printf '%s\0' "$directory"; exit 1; } ;;
esac
printf '%s\0' "$directory"
keep=
if read -r run variables && cd "$directory"; then
    set -- "$1" "$directory/server.conf"
    # Several words, none of which has white space in it.
    [ -z "$variables" ] || set -- env $variables "$@"
    "$@" </dev/null 2>&1 &
    server=$!
    # From here on the server alone holds the pipe of its output, so the owner sees at once when it dies.
    exec >/dev/null 2>&1
    read -r keep
    kill -KILL "$server"
    # Where the program is a wrapper script, the server is another process, which wrote its own pid.
    read -r inner <"$directory/server.pid"
    if [ -n "$inner" ] && [ "$inner" != "$server" ]; then
        while [ "/proc/$inner/cwd" -ef "$directory" ]; do
            kill -KILL "$inner"
            sleep 0.01
        done
    fi
    wait "$server"
    # What libfaketime leaves when its process is killed.
    rm -f "/dev/shm/faketime_shm_$server" "/dev/shm/sem.faketime_sem_$server"
fi
[ -n "$keep" ] || rm -rf "$directory"
