"""Servelab's one entry point: python kit.py --help. Every Python, however old, can read this file."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older Pythons do get here
    found = "%d.%d, %s" % (sys.version_info[0], sys.version_info[1], sys.executable)  # noqa: UP031
    sys.exit("kit: Python 3.11 or newer is needed, this is %s. Get one from python.org" % found)  # noqa: UP031

from kit.commands import main

if __name__ == "__main__":
    sys.exit(main())
