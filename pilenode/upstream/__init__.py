"""One file per upstream protocol; only station imports this package."""
