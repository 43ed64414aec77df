//! Streams commands to Redis as fast as the server takes them, in constant memory.
