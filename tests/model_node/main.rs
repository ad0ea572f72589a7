//! A node against reference models: what the application is told, over random sequences of what peers do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod anything;
mod honest;
#[path = "../model_common/mod.rs"]
mod model_common;
mod presence;
