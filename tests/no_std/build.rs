//! Links the program with nothing but itself: what the core needed of std or libc would be an undefined symbol.

fn main() {
    for argument in ["-nostdlib", "-nostartfiles", "-nodefaultlibs", "-static", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
