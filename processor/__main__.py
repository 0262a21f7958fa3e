"""Is the command line also to be had as `python -m processor`?"""

from __future__ import annotations

from processor.cli import main

if __name__ == "__main__":
    main()
