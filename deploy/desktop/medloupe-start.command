#!/bin/sh
# macOS: double-click. Starts medloupe and opens it in the browser; installs it on first use. start.py beside this says more.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
PATH="/opt/homebrew/bin:/usr/local/bin:$HOME/.local/bin:$PATH"
for python in python3.14 python3.13 python3.12 python3.11 python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" "$here/start.py" "$@"
    fi
done
echo 'medloupe needs Python 3.11 or newer: get it from https://www.python.org/downloads/ and start this again.' >&2
if [ -t 0 ]; then
    printf 'Press Enter to close this window. '
    read -r _
fi
exit 1
