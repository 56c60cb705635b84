"""Who this cabinet is to the broker: its key and certificate, how they are renewed, and why a broker says no."""
