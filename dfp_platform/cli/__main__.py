"""`python -m dfp_platform.cli` is `dfp`."""

from dfp_platform.cli import main

if __name__ == "__main__":
    main()
