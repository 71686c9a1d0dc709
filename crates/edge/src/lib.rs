//! The edge node of one agency: outbox, inbox, and gRPC for its document-management system.
