"""The bench: simulated batteries, meters on real ptys, pins, a broker and a backend. Never shipped."""
