//! `cargo xtask ...`: the commands of the people who work on or try out galaxy-burn.

mod workflow;
fn main() {}
