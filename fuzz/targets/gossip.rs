//! See `atonce::fuzz::gossip`.
#![no_main]
#![allow(missing_docs, unsafe_code)] // of the entry point that the macro makes

libfuzzer_sys::fuzz_target!(|octets: &[u8]| atonce::fuzz::gossip(octets));
