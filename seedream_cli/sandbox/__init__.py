"""A stand-in for every provider, pure and stateless, and a loopback server around it."""
