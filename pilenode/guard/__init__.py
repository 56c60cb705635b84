"""The cutoff process: buses, tick, relays, latches. Synchronous; needs nobody."""
