"""What each menu of the simulated router holds, as data: fields, checks and derived properties. No sockets, no sessions."""
