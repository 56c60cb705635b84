"""Configuration: typed schema, loader, shipped meter and product profiles."""
