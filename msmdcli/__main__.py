"""`python -m msmdcli` is `msmd`."""

from msmdcli.cli import main

if __name__ == "__main__":
    main()
