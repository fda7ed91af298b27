"""``python -m partynli`` is the command ``partynli``."""

from partynli.cli import main

if __name__ == "__main__":
    main()
