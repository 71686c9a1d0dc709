//! The truc command: demo, daemons, sending, verification.
