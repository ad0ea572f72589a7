//! Tells what happens on the network: `cargo run --example watch [INTERFACE] [NAME]`.

use std::time::Instant;

use atonce_std::{Node, StartError};

fn main() -> Result<(), StartError> {
    let begun = Instant::now();
    let mut arguments = std::env::args().skip(1);
    let mut builder = Node::builder();
    if let Some(interface) = arguments.next().filter(|interface| !interface.is_empty()) {
        builder = builder.interface(interface);
    }
    if let Some(name) = arguments.next() {
        builder = builder.name(name);
    }
    let node = builder.start()?;
    println!("{} is {} at {:?}", node.name(), node.id(), node.endpoints());
    for event in &node {
        println!("{:8.3} {event:?}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
