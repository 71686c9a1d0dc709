//! Attachments as content-addressed files: streamed, resumable, owned, pinned.
