//! Nodes, collectors and the sockets between them, in virtual time.
