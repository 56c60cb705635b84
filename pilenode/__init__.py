"""The cabinet's programs: guard cuts, station remembers, the CLI asks."""

__version__ = "0.1.0"
