//! Many nodes that are found and find nobody, so that they are a crowd for one who looks and no mesh among themselves:
//! `cargo run --release --example crowd INTERFACE PORT COUNT`. They leave when the input ends.

use std::error::Error;

use atonce_std::{Beacons, Node};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [interface, port, count] = arguments.as_slice() else {
        return Err("give an interface, a UDP port and how many".into());
    };
    let (port, count): (u16, usize) = (port.parse()?, count.parse()?);
    let start = |number| {
        let builder = Node::builder().name(format!("crowd {number}"));
        let builder = builder.interface(interface).port(port).group("CROWD");
        builder.beacons(Beacons::Say).start()
    };
    let crowd: Vec<Node> = (0..count).map(start).collect::<Result<_, _>>()?;
    println!("{}", crowd.len());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
