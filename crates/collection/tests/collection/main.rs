//! Collections in folders and on a server of the tests' own: documents, filters, what survives.

mod common;
mod embed;
mod filter;
mod folder;
mod mock_qdrant;
mod server;
