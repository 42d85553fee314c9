"""The same work on one device, on eight, and in two processes of four."""
