"""What the processes say to each other over Unix sockets."""
