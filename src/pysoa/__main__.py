"""The ``pysoa`` command, as ``python -m pysoa``."""

from pysoa.cli import main

if __name__ == "__main__":
    main()
