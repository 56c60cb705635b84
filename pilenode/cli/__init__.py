"""The technician's tool; talks to the sockets, never to the hardware."""
