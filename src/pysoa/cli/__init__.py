"""The ``pysoa`` command, one module per subcommand."""
