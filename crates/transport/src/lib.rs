//! What every process shares at its border: mutual TLS, gRPC statuses, clock, logging.
