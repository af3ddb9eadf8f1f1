@echo off
rem Windows: double-click. Starts medloupe and opens it in the browser; installs it on first use. See start.py.
setlocal
title medloupe
py -3 -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul
if not errorlevel 1 (
    py -3 "%~dp0start.py" %*
    exit /b
)
python -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul
if not errorlevel 1 (
    python "%~dp0start.py" %*
    exit /b
)
echo medloupe needs Python 3.11 or newer: get it from https://www.python.org/downloads/ and start this again.
pause
exit /b 1
