"""`python -m shoritui` is the `shoritui` command."""

from shoritui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
